import { type ConfChangeSingle, ConfChangeType } from '../raftpb.ts';

const TYPE_BY_LETTER: Readonly<Record<string, number>> = {
  v: ConfChangeType.ConfChangeAddNode,
  l: ConfChangeType.ConfChangeAddLearnerNode,
  r: ConfChangeType.ConfChangeRemoveNode,
  u: ConfChangeType.ConfChangeUpdateNode,
};

/** Parses `v1 l2 r3 u4`: make 1 a voter, 2 a learner, remove 3, update 4. */
export function parseChanges(text: string): ConfChangeSingle[] {
  const words = text.split(/\s+/).filter((word) => word !== '');
  return words.map((word) => {
    const type = TYPE_BY_LETTER[word[0]!];
    if (type === undefined || word.length < 2) throw new Error(`unknown input: ${word}`);
    return { type, nodeId: BigInt(word.slice(1)) };
  });
}
