/** Names and addresses under which pods and users reach the API, where the server or a front for it is near them. */
export const FRONT_NAMES = [
  'localhost',
  'kubernetes',
  'kubernetes.default',
  'kubernetes.default.svc',
  'kubernetes.default.svc.cluster.local',
];
export const FRONT_ADDRESSES = ['127.0.0.1', '::1', '10.96.0.1', '100.96.0.2'];
/** Subject of the certificate of a node's front. */
export const FRONT_SUBJECT = 'skiff-front';
