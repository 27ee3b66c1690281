import { inject } from 'vitest';
import { describeHelm } from './helm/release.ts';

describeHelm(4, inject('clientTools').helm4, { atomic: '--rollback-on-failure', render: ['--dry-run=server'] });
