import { badRequest, notAcceptable } from '../machinery/status.ts';

/** How the answer is written: encoding, and the shape asked for by `as`. */
export interface Negotiated {
  media: 'json' | 'yaml' | 'protobuf';
  as: '' | 'Table' | 'PartialObjectMetadata' | 'PartialObjectMetadataList';
  /** `v1` or `v1beta1` of meta.k8s.io for the shapes above. */
  version: string;
  pretty: boolean;
}

const media = new Map<string, Negotiated['media']>([
  ['application/json', 'json'],
  ['application/yaml', 'yaml'],
  ['application/vnd.kubernetes.protobuf', 'protobuf'],
]);
export const contentTypes: Record<Negotiated['media'], string> = {
  json: 'application/json',
  yaml: 'application/yaml',
  protobuf: 'application/vnd.kubernetes.protobuf',
};
const plain: Negotiated = { media: 'json', as: '', version: '', pretty: false };
const shapes = new Set(['Table', 'PartialObjectMetadata', 'PartialObjectMetadataList']);

interface Clause {
  type: string;
  parameters: Map<string, string>;
  q: number;
}

const clauseOf = (text: string): Clause => {
  const [type = '', ...rest] = text.split(';');
  const parameters = new Map<string, string>();
  for (const parameter of rest) {
    const eq = parameter.indexOf('=');
    if (eq > 0) parameters.set(parameter.slice(0, eq).trim().toLowerCase(), parameter.slice(eq + 1).trim());
  }
  return { type: type.trim().toLowerCase(), parameters, q: Number(parameters.get('q') ?? 1) };
};

const shapeOf = (clause: Clause, isList: boolean, isCustom: boolean, hasTable: boolean): Negotiated | undefined => {
  const encoding = clause.type === '*/*' ? 'json' : media.get(clause.type);
  if (!encoding) return undefined;
  const as = clause.parameters.get('as') ?? '';
  if (!as) return isCustom && encoding === 'protobuf' ? undefined : { ...plain, media: encoding };
  const group = clause.parameters.get('g') ?? '';
  const version = clause.parameters.get('v') ?? '';
  if (group !== 'meta.k8s.io' || (version !== 'v1' && version !== 'v1beta1') || !shapes.has(as)) return undefined;
  if (as === 'Table' && (encoding === 'protobuf' || !hasTable)) return undefined;
  if (as === 'PartialObjectMetadata' && isList) return undefined;
  if (as === 'PartialObjectMetadataList' && !isList) return undefined;
  return { media: encoding, as: as as Negotiated['as'], version, pretty: false };
};

/**
 * Picks the answer's form from Accept, as upstream's negotiation does: clauses by quality, a wildcard means JSON, and a
 * clause that cannot be met is passed over. `isList` says whether a list is asked for (a watch is of single objects);
 * custom resources have no protobuf of their own, only their metadata has; reviews have no columns.
 * Throws a 406 Status.
 */
export const negotiate = (
  accept: string | null,
  query: URLSearchParams,
  userAgent: string | null,
  isList: boolean,
  isCustom = false,
  hasTable = true,
): Negotiated => {
  const prettyParameter = query.get('pretty');
  const pretty = prettyParameter === null ? false : prettyParameter !== 'false' && prettyParameter !== '0';
  const browser = prettyParameter === null && userAgent !== null && /^(curl|Wget|Mozilla)\//.test(userAgent);
  if (!accept || accept === 'application/json' || accept === '*/*')
    return pretty || browser ? { ...plain, pretty: true } : plain;
  const clauses = accept.split(',').map(clauseOf);
  clauses.sort((a, b) => b.q - a.q);
  for (const clause of clauses) {
    const found = shapeOf(clause, isList, isCustom, hasTable);
    if (found) return { ...found, pretty: pretty || browser };
  }
  // Clients are told nothing more of a shape that is not offered, and empty details of an encoding that is not.
  const shapeOnly = clauses.some((clause) => clause.parameters.has('as'));
  throw notAcceptable([...media.keys()], shapeOnly ? undefined : {});
};

/** The `includeObject` of a Table request. Throws a 400 Status for other values. */
export const includeObject = (query: URLSearchParams): 'None' | 'Metadata' | 'Object' => {
  const value = query.get('includeObject') ?? '';
  if (value === '') return 'Metadata';
  if (value === 'None' || value === 'Metadata' || value === 'Object') return value;
  throw badRequest(`unrecognized includeObject value: ${JSON.stringify(value)}`);
};
