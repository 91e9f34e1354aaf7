// The time that the steps of a timeline take together.

/** From when to when, in Unix seconds. @param {{began_at: number, seconds?: number}[]} steps */
export function spanOf(steps) {
  if (!steps.length) return null;
  const begin = Math.min(...steps.map((each) => each.began_at));
  return { begin, end: Math.max(...steps.map((each) => each.began_at + (each.seconds ?? 0))) };
}
