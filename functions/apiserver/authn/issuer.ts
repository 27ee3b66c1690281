/** `iss` of the service account tokens of the cluster `default`; another cluster's is `{this}/clusters/{id}`. */
export const SERVICE_ACCOUNT_ISSUER = 'https://kubernetes.default.svc.cluster.local';

/** Whether tokens of an issuer are those of a cluster's own service accounts: nobody else may issue such. */
export const isServiceAccountIssuer = (url: string): boolean =>
  url === SERVICE_ACCOUNT_ISSUER || url.startsWith(`${SERVICE_ACCOUNT_ISSUER}/clusters/`);
