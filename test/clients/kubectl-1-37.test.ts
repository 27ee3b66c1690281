import { inject } from 'vitest';
import { describeKubectl } from './kubectl/versions.ts';

describeKubectl('1.37', inject('clientTools')['kubectl-1.37']);
