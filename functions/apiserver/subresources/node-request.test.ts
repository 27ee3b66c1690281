import { expect, it } from 'vitest';
import { logQuery } from './node-request.ts';

it('asks a node for one line, one second or one byte of a log, and for flags however they are written', () => {
  const query = (text: string) => logQuery(new URLSearchParams(text));
  expect(query('tailLines=1&sinceSeconds=1&limitBytes=1')).toBe('?tailLines=1&sinceSeconds=1&limitBytes=1');
  expect(query('follow=1&previous=true&timestamps=')).toBe('?follow=true&previous=true');
  expect(query('container=a&pretty=1')).toBe('');
});
