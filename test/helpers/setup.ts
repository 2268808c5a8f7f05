// Runs before every test file: costly checks are on wherever tests run.
import { verify } from '../../src/base/index.ts';

verify.all = process.env['TETCD_VERIFY'] === 'all';
