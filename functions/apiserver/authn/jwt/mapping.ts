/** From the claims of a token that was verified to the user it stands for, in upstream's order and with its verdicts. */
import { CALL_LIMIT, type Evaluation } from '../../../machinery/cel/environment.ts';
import { List, type MapValue, type Value } from '../../../machinery/cel/values.ts';
import type { UserInfo } from '../../registry.ts';
import { user } from '../authenticator.ts';
import type { ClaimMappings, JwtAuthenticator } from './document.ts';
import { claimsValue, userValue } from './expressions.ts';
import type { Claims } from './signature.ts';
import type { Compiled, Programs } from './validate.ts';

const CREDENTIAL = 'authentication.kubernetes.io/credential-id';

const valueIn = (made: Evaluation, { source }: Compiled): Value => {
  if ('value' in made) return made.value;
  const why = 'fault' in made ? made.fault.message : 'operation cancelled: actual cost limit exceeded';
  throw new Error(`expression '${source}' resulted in error: ${why}`);
};

/** A claim as text; null is the empty text, as Go decodes it. */
const textOf = (claims: Claims, name: string, what: string): string => {
  if (!Object.hasOwn(claims, name)) throw new Error(`oidc: parse ${what} "${name}": claim not present`);
  const value = claims[name] ?? '';
  if (typeof value !== 'string') throw new Error(`oidc: parse ${what} "${name}": it is no string`);
  return value;
};

const STRINGS = 'expression must return a string or a list of strings';

/** "", null and [] are as if there were none; so are empty texts in a list. */
const textsOf = (value: Value): string[] => {
  if (value === null) return [];
  const all = value instanceof List ? value.items() : [value];
  if (!all.every((one) => typeof one === 'string')) throw new Error(STRINGS);
  return all.filter((one) => one !== '');
};

/**
 * Evaluates expressions for one token. All together may cost what upstream lets each of them cost: tenants write them, and
 * share the thread.
 */
const createRun = () => {
  let left = CALL_LIMIT;
  return (compiled: Compiled, variables: Readonly<Record<string, Value>>): Value => {
    const made = compiled.program.evaluate(variables, left);
    left = Math.max(0, left - made.cost);
    return valueIn(made, compiled);
  };
};

interface Token {
  claims: Claims;
  evaluate: ReturnType<typeof createRun>;
  /** Made when the first expression asks for it. */
  value(): MapValue;
}

const run = (compiled: Compiled, token: Token): Value => token.evaluate(compiled, { claims: token.value() });

/** Says of what an expression was, where it fails. */
const naming = <T>(what: string, evaluate: () => T): T => {
  try {
    return evaluate();
  } catch (error) {
    throw new Error(`oidc: error evaluating ${what}: ${(error as Error).message}`);
  }
};

/** An address that the issuer says is not its user's does not name a user. */
const checkVerified = (claims: Claims): void => {
  if (!Object.hasOwn(claims, 'email_verified')) return;
  const verified = claims.email_verified ?? false;
  if (typeof verified !== 'boolean') throw new Error("oidc: parse 'email_verified' claim: it is no boolean");
  if (!verified) throw new Error('oidc: email not verified');
};

/** What an expression makes of the claims, where that is a text. */
const textFrom = (compiled: Compiled, token: Token, what: string): string =>
  naming(`${what} claim expression`, () => {
    const text = run(compiled, token);
    if (typeof text !== 'string') throw new Error(`${what} claim expression must return a string`);
    return text;
  });

const usernameOf = (token: Token, { username = {} }: ClaimMappings, programs: Programs): string => {
  if (programs.username) {
    const name = textFrom(programs.username, token, 'username');
    if (name === '') throw new Error('oidc: empty username via CEL expression is not allowed');
    return name;
  }
  const { claim = '', prefix = '' } = username;
  const name = textOf(token.claims, claim, 'username claims');
  if (claim === 'email') checkVerified(token.claims);
  if (prefix + name === '') throw new Error('oidc: empty username is not allowed');
  return prefix + name;
};

const groupsOf = (token: Token, { groups = {} }: ClaimMappings, programs: Programs): string[] => {
  const { claim = '', prefix = '' } = groups;
  if (claim && Object.hasOwn(token.claims, claim)) {
    const value = token.claims[claim] ?? [];
    const all: unknown[] = Array.isArray(value) ? value.map((one) => one ?? '') : [value];
    if (!all.every((one) => typeof one === 'string'))
      throw new Error(`oidc: parse groups claim "${claim}": it is no string and no list of strings`);
    return all.map((group) => prefix + group);
  }
  const { groups: compiled } = programs;
  return compiled ? naming('group claim expression', () => textsOf(run(compiled, token))) : [];
};

const uidOf = (token: Token, { uid = {} }: ClaimMappings, programs: Programs): string => {
  if (uid.claim) return textOf(token.claims, uid.claim, 'uid claim');
  return programs.uid ? textFrom(programs.uid, token, 'uid') : '';
};

const extraOf = (token: Token, programs: Programs): Record<string, string[]> => {
  const extra: Record<string, string[]> = {};
  const { jti } = token.claims;
  if (typeof jti === 'string' && jti) extra[CREDENTIAL] = [`JTI=${jti}`];
  for (const one of programs.extra) {
    const texts = naming(`extra claim expression: ${one.source}`, () => textsOf(run(one, token)));
    if (texts.length > 0) extra[one.key] = texts;
  }
  return extra;
};

const checkRequired = ({ claims }: Token, rules: JwtAuthenticator['claimValidationRules'] = []): void => {
  for (const { claim, requiredValue = '' } of rules) {
    if (!claim) continue;
    if (!Object.hasOwn(claims, claim)) throw new Error(`oidc: required claim ${claim} not present in ID token`);
    const value = textOf(claims, claim, 'claim');
    if (value !== requiredValue)
      throw new Error(`oidc: required claim ${claim} value does not match. Got = ${value}, want = ${requiredValue}`);
  }
};

/** Runs rules in their order; throws where one is not true. */
const checkRules = (
  rules: readonly (Compiled & { message: string })[],
  what: string,
  { evaluate }: Token,
  variables: () => Readonly<Record<string, Value>>,
): void => {
  if (rules.length === 0) return;
  const given = variables();
  naming(what, () => {
    for (const rule of rules)
      if (evaluate(rule, given) !== true)
        throw new Error(`validation expression '${rule.source}' failed: ${rule.message}`);
  });
};

/** The user of a token; throws where a claim is not as the mappings need it, or a rule does not hold. */
export const mapClaims = (claims: Claims, authenticator: JwtAuthenticator, programs: Programs): UserInfo => {
  let made: MapValue | undefined;
  const value = (): MapValue => {
    made ??= claimsValue(claims);
    return made;
  };
  const token: Token = { claims, evaluate: createRun(), value };
  const mappings = authenticator.claimMappings ?? {};
  const username = usernameOf(token, mappings, programs);
  const groups = groupsOf(token, mappings, programs);
  const uid = uidOf(token, mappings, programs);
  const found: UserInfo = { username, uid, groups, extra: extraOf(token, programs) };
  checkRequired(token, authenticator.claimValidationRules);
  checkRules(programs.claimRules, 'claim validation expression', token, () => ({ claims: value() }));
  checkRules(programs.userRules, 'user info validation rule', token, () => ({ user: userValue(found) }));
  return user(found.username, found.groups, found.uid, found.extra);
};
