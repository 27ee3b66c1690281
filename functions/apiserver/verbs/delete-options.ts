import { parseBody } from '../../machinery/body.ts';
import { decodeKind } from '../../machinery/decode.ts';
import { kindSchema } from '../../machinery/facts.ts';
import type { Json } from '../../machinery/object.ts';
import { decodeProtobuf } from '../../machinery/protobuf/codec.ts';
import { badRequest, cause, conflict, invalid } from '../../machinery/status.ts';
import type { AnyObject, Call } from '../context.ts';
import { readBody } from '../request-body.ts';

/** meta/v1 DeleteOptions of a request, from its body, else its query. */
export interface DeleteOptions {
  gracePeriodSeconds?: number;
  propagationPolicy?: string;
  orphanDependents?: boolean;
  preconditions?: { uid?: string; resourceVersion?: string };
  dryRun?: string[];
}

const schema = kindSchema('', 'v1', 'DeleteOptions');

const fromQuery = (query: URLSearchParams): DeleteOptions => {
  const grace = query.get('gracePeriodSeconds');
  const policy = query.get('propagationPolicy');
  const orphan = query.get('orphanDependents');
  if (grace && !/^[+-]?\d+$/.test(grace))
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(grace)}: invalid syntax`);
  return {
    ...(grace && { gracePeriodSeconds: Number(grace) }),
    ...(policy && { propagationPolicy: policy }),
    ...(orphan !== null && { orphanDependents: orphan !== 'false' && orphan !== '0' }),
  };
};

const refused = (field: string, value: unknown, supported: string[]) =>
  invalid({ group: 'meta.k8s.io', kind: 'DeleteOptions', name: '' }, [cause.notSupported(field, value, supported)]);

/** The 422 for a dryRun that is not `All`. */
export const dryRunRefused = (given: readonly string[]) => refused('dryRun', given, ['All']);

/** A body that names its kind names DeleteOptions, in any version that upstream registers it for. */
const checkKind = (value: Json): void => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
  const { kind = '', apiVersion = '' } = value;
  if (kind !== '' && kind !== 'DeleteOptions')
    throw badRequest(`no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)}`);
};

/** Options without their type: events name upstream's internal one. */
const untyped = (options: object): object => {
  const { kind: _kind, apiVersion: _version, ...rest } = options as { kind?: unknown; apiVersion?: unknown };
  return rest;
};

/** Reads and checks a delete's options. Throws 400 and 422 Statuses. */
export const deleteOptions = async (call: Call): Promise<DeleteOptions> => {
  const bytes = await readBody(call.request);
  let options = fromQuery(call.info.query);
  if (bytes.byteLength && schema) {
    const type = call.request.headers.get('content-type') ?? '';
    const body = type.includes('protobuf')
      ? { value: decodeProtobuf(bytes) as Json, duplicates: [], oddNumbers: undefined }
      : parseBody(bytes, type.includes('yaml') ? 'yaml' : 'json');
    checkKind(body.value);
    const { value } = decodeKind<DeleteOptions>(schema, body, { version: 'v1', kind: 'DeleteOptions' });
    options = value;
    call.trail?.requestObject({ kind: 'DeleteOptions', apiVersion: 'meta.k8s.io/__internal', ...untyped(value) });
  }
  const policies = ['Background', 'Foreground', 'Orphan'];
  if (options.propagationPolicy !== undefined && options.orphanDependents !== undefined)
    throw invalid({ group: 'meta.k8s.io', kind: 'DeleteOptions', name: '' }, [
      cause.invalid(
        'propagationPolicy',
        options.propagationPolicy,
        'orphanDependents and deletionPropagation cannot be both set',
      ),
    ]);
  if (options.propagationPolicy !== undefined && !policies.includes(options.propagationPolicy))
    throw refused('propagationPolicy', options.propagationPolicy, policies);
  if (options.dryRun?.some((v) => v !== 'All')) throw dryRunRefused(options.dryRun);
  if (options.dryRun?.length) call.dryRun = true;
  if ((options.gracePeriodSeconds ?? 0) < 0) options.gracePeriodSeconds = 1;
  return options;
};

/** Throws a 409 (which names the kind here, as upstream's does) where the object is not the one that the preconditions name. */
export const checkPreconditions = (call: Call, object: AnyObject, options: DeleteOptions): void => {
  const subject = { group: call.resource.group, kind: call.resource.kind, name: object.metadata.name ?? '' };
  const { uid, resourceVersion } = options.preconditions ?? {};
  if (uid !== undefined && uid !== object.metadata.uid)
    throw conflict(
      subject,
      `the UID in the precondition (${uid}) does not match the UID in record (${object.metadata.uid}). The object might have been deleted and then recreated`,
    );
  if (resourceVersion !== undefined && resourceVersion !== object.metadata.resourceVersion)
    throw conflict(
      subject,
      `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${object.metadata.resourceVersion}). The object might have been modified`,
    );
};
