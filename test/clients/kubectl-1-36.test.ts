import { inject } from 'vitest';
import { describeKubectl } from './kubectl/versions.ts';

describeKubectl('1.36', inject('clientTools')['kubectl-1.36']);
