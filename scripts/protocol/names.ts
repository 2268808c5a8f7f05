// From names in schemas to names in TypeScript; the rules stand in src/protocol/README.md.

/** `range_end` to `rangeEnd`, `member_ID` to `memberID`, `ID` to `id`, `PeerURLs` to `peerURLs`. */
export function propertyName(schemaName: string): string {
  const [first, ...rest] = schemaName.split('_');
  const head = first!;
  const start = head === head.toUpperCase() ? head.toLowerCase() : lowerFirst(head);
  return start + rest.map(upperFirst).join('');
}

export function lowerFirst(name: string): string {
  return name.charAt(0).toLowerCase() + name.slice(1);
}

export function upperFirst(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}
