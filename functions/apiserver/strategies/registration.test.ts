import { expect, it } from 'vitest';
import type { Causes } from './checks.ts';
import { checkWebhookClient } from './registration.ts';

const FORM = '; desired format: https://host[/path]';

it.each<[url: string, faults: string[]]>([
  ['https://h/p', []],
  ['http://h', [`Invalid value: "http": 'https' is the only allowed URL scheme${FORM}`]],
  [
    'h/p',
    [
      `Invalid value: "": 'https' is the only allowed URL scheme${FORM}`,
      `Invalid value: "": host must be specified${FORM}`,
    ],
  ],
  ['https://u:w@h', ['Invalid value: "u:w": user information is not permitted in the URL']],
  [
    'https://h/?a=b#c',
    [
      'Invalid value: "c": fragments are not permitted in the URL',
      'Invalid value: "a=b": query parameters are not permitted in the URL',
    ],
  ],
])('the URL of a webhook %s is told of by the part at fault', (url, faults) => {
  const out: Causes = [];
  checkWebhookClient(out, 'c', { url });
  expect(out.map(({ message }) => message)).toEqual(faults);
});
