import { cause } from '../../machinery/status.ts';
import { type Causes, invalidEach, required } from './checks.ts';
import { dnsSubdomain } from './names.ts';

/** `domain/path`, as CertificateSigningRequest.spec.signerName: a domain of two labels and a path of at most 571 in all. */
export const checkSignerName = (out: Causes, path: string, name: string): void => {
  if (!required(out, path, name)) return;
  const parts = name.split('/');
  if (parts.length !== 2) {
    out.push(
      cause.invalid(path, name, "must be a fully qualified domain and path of the form 'example.com/signer-name'"),
    );
    return;
  }
  const [domain = '', rest = ''] = parts;
  if (domain.split('.').length < 2) {
    out.push(cause.invalid(path, name, 'domain must have at least two segments separated by dots'));
  }
  for (const label of domain.split('.')) invalidEach(out, path, name, labelMessages(label));
  for (const segment of rest.split('.')) invalidEach(out, path, name, labelMessages(segment));
  if (name.length > 571) out.push(cause.tooLong(path, 571));
};

const labelMessages = (label: string): string[] => (label.length > 63 ? ['segment too long'] : dnsSubdomain(label));
