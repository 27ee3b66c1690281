import { expect, it } from 'vitest';
import { requestInfo } from '../request-info.ts';
import { splitPath } from './proxy.ts';
import { joinPaths, rewriteAddress, rewriteHtml } from './proxy-rewrite.ts';
import { splitName } from './proxy-target.ts';

const to = { prefix: '/api/v1/namespaces/n/pods/p/proxy', backend: '10.0.0.1:80', host: 'localhost:8001' };

it.each([
  ['/a/b', `${to.prefix}/a/b`],
  ['/a/b/?x=1#y', `${to.prefix}/a/b/?x=1#y`],
  ['http://10.0.0.1:80/a', `${to.prefix}/a`],
  ['http://localhost:8001/a', `http://localhost:8001${to.prefix}/a`],
  [`${to.prefix}/a`, `${to.prefix}/a`],
  ['http://elsewhere/a', 'http://elsewhere/a'],
  ['//elsewhere/a', '//elsewhere/a'],
  ['a/b', 'a/b'],
  ['mailto:x@y', 'mailto:x@y'],
  ['#top', '#top'],
  ['', ''],
])('reads the address %s as %s', (given, wanted) => {
  expect(rewriteAddress(given, to)).toBe(wanted);
});

it.each([
  ['<A HREF=/x>', `<A HREF="${to.prefix}/x">`],
  ["<form class='b' action='/x?a=1&amp;b=2'>", `<form class='b' action="${to.prefix}/x?a=1&amp;b=2">`],
  ['<img src="/a.png" usemap="#m" alt="/no"/>', `<img src="${to.prefix}/a.png" usemap="#m" alt="/no"/>`],
  ['<p href="/x">a < b</p>', '<p href="/x">a < b</p>'],
  ['<!-- <a href="/x"> --><b title=">">', '<!-- <a href="/x"> --><b title=">">'],
  ['<script>"<a href=/x>"</script>', '<script>"<a href=/x>"</script>'],
  ['<script src="/s.js"></script>', `<script src="${to.prefix}/s.js"></script>`],
])('rewrites %s', (given, wanted) => {
  expect(rewriteHtml(given, to)).toBe(wanted);
});

it.each([
  ['p', { scheme: '', name: 'p', port: '' }],
  ['p:1', { scheme: '', name: 'p', port: '1' }],
  ['https:p:web', { scheme: 'https', name: 'p', port: 'web' }],
  ['https:p:', { scheme: 'https', name: 'p', port: '' }],
  ['ftp:p:1', undefined],
  [':1', undefined],
  ['a:b:c:d', undefined],
])('splits the name %s', (given, wanted) => {
  expect(splitName(given)).toEqual(wanted);
});

it.each([
  ['', ''],
  ['/', '/'],
  ['/a/b', '/a/b'],
  ['/a/b/', '/a/b/'],
  ['/a//b/../c', '/a/c'],
  ['/a%20b/(c)', '/a%20b/%28c%29'],
  ['/../../x', '/x'],
])('takes the path %s of a proxy apart', (rest, path) => {
  const url = `https://server/clusters/t/api/v1/namespaces/n/pods/p/proxy${rest}?q=/x`;
  const prefix = '/clusters/t/api/v1/namespaces/n/pods/p/proxy';
  expect(splitPath(requestInfo('GET', url), url)).toEqual({ prefix, path });
});

it('joins paths', () => {
  expect(joinPaths('/a', '/')).toBe('/a/');
  expect(joinPaths('/', '/')).toBe('/');
});
