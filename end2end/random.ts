/** A reproducible random generator: the same seed gives the same numbers, each in 0..1. */
export function seededRandom(seed: number): () => number {
  let state = seed;
  // Mulberry32.
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Words that can be told apart, each a piece of an answer. */
export function words(count: number): string[] {
  return Array.from({ length: count }, (_, number) => `word${number} `);
}
