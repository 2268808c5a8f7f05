import type { CertificateFiles, CertificateFilesOptions } from './certificate-files.ts';

/**
 * Reads certificates from files, and later again those that change. Rejects with INVALID_ARGUMENT, which
 * names the file and what is wrong with it. What is needed for TLS is loaded by this call.
 */
export async function loadCertificateFiles(
  options: CertificateFilesOptions,
): Promise<CertificateFiles> {
  const { CertificateFiles } = await import('./certificate-files.ts');
  return new CertificateFiles(options);
}
