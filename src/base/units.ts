// Flavoured numbers: a plain number is accepted, but one flavour is never taken for another.
// They cost nothing at run time.

type Flavour<Name extends string> = number & { readonly __flavour?: Name };

/** Position in the raft log; the first entry has 1, 0 means "none". */
export type LogIndex = Flavour<'LogIndex'>;
/** Raft term; 0 only before the first election. */
export type Term = Flavour<'Term'>;
/** The main number of an MVCC revision; the store begins at 1, the first write makes 2. */
export type Revision = Flavour<'Revision'>;

/** Largest count we accept from disk or a peer; everything we allocate stays below it. */
export const COUNT_MAX: number = Number.MAX_SAFE_INTEGER;

/**
 * Terms and log indexes in messages of other members are below this. What follows from them (the next
 * term, the index of the next entry) then stays far below {@link COUNT_MAX}, so that
 * everything a member writes because of a message can be read again.
 */
export const CONSENSUS_END: number = 2 ** 52;
