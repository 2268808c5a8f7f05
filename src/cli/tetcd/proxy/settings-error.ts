/** Settings that make no sense. The text is printed as it is, and the process ends with code 1. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}
