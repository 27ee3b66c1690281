import { inject } from 'vitest';
import { describeHelm } from './helm/release.ts';

describeHelm(3, inject('clientTools').helm3, { atomic: '--atomic', render: ['--validate', '--dry-run=server'] });
