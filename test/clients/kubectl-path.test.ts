// The kubectl that is on the PATH.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describeKubectl } from './kubectl/versions.ts';

const folder = (process.env.PATH ?? '').split(':').find((one) => existsSync(join(one, 'kubectl')));
describeKubectl('on the PATH', folder ? { path: join(folder, 'kubectl') } : { missing: 'kubectl is not on the PATH' });
