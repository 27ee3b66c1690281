import { forbidden, type StatusError } from '../../machinery/status.ts';
import type { AdmissionRequest } from './admission.ts';

/** 403 of an admission plugin, as upstream names the object: by the request, or by what it will be called. */
export const refusal = ({ call, object, old }: AdmissionRequest, why: string): StatusError => {
  const { metadata } = object ?? old ?? { metadata: {} };
  const name = call.info.name || metadata.name || metadata.generateName || 'Unknown';
  return forbidden({ group: call.resource.group, kind: call.resource.resource, name }, why);
};
