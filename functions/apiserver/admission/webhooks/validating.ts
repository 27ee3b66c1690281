import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import { createConfigurations, type Match } from './configurations.ts';
import { callHook, isExempt, type Shown, settleFault, shownTo } from './invoke.ts';

const asked = async (request: AdmissionRequest, match: Match, shown: Shown, index: number): Promise<void> => {
  try {
    await callHook(request, match, shown, false);
  } catch (error) {
    settleFault(match, error);
    const key = `failed-open.validating.webhook.admission.k8s.io/round_0_index_${index}`;
    request.call.trail?.annotate(key, match.hook.spec.name);
  }
};

const dispatch = async (request: AdmissionRequest, matches: readonly Match[]): Promise<void> => {
  const relevant: { match: Match; shown: Shown }[] = [];
  for (const match of matches) {
    const shown = await shownTo(request, match);
    if (shown) relevant.push({ match, shown });
  }
  const results = await Promise.allSettled(relevant.map(({ match, shown }, i) => asked(request, match, shown, i)));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
};

/**
 * ValidatingAdmissionWebhook: all hooks that want to see a request are asked at once, and the first in order that refuses
 * it is told to the client. Source: admissionregistration.k8s.io/v1.
 */
export const createValidatingWebhooks = (): AdmissionPlugin => {
  const configurations = createConfigurations('validatingwebhookconfigurations');
  return {
    name: 'ValidatingAdmissionWebhook',
    validate: (request) => {
      if (isExempt(request)) return undefined;
      return configurations.withMatches(request, (matches) => dispatch(request, matches));
    },
  };
};
