import type { AdmissionRequest } from './admission.ts';

/** Whether a request is about this resource type, by `group/resource`: `/pods`, `networking.k8s.io/ingresses`. */
export const isAbout = ({ call }: AdmissionRequest, type: string): boolean => {
  const { group, resource } = call.resource;
  return type.length === group.length + 1 + resource.length && type.startsWith(group) && type.endsWith(`/${resource}`);
};

/** A new object of this type, not a write to one of its endpoints. */
export const isCreateOf = (request: AdmissionRequest, type: string): boolean =>
  request.operation === 'CREATE' && request.subresource === '' && isAbout(request, type);

export const isUpdateOf = (request: AdmissionRequest, type: string, subresource = ''): boolean =>
  request.operation === 'UPDATE' && request.subresource === subresource && isAbout(request, type);
