/** What insert.mjs offers to TypeScript. */
export const insertionSources: readonly string[]
export function insertInto(sources: string): void
