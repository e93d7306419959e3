/**
 * The part of better-sqlite3's interface that the store uses; the package brings no types.
 */
declare module 'better-sqlite3' {
  type Bound = string | number | bigint | Uint8Array | null

  interface Statement<Row = unknown> {
    run(...values: readonly Bound[]): { changes: number; lastInsertRowid: number | bigint }
    get(...values: readonly Bound[]): Row | undefined
    all(...values: readonly Bound[]): Row[]
  }

  export default class Database {
    constructor(
      filename: string,
      options?: { readonly?: boolean; fileMustExist?: boolean; timeout?: number },
    )
    prepare<Row = unknown>(sql: string): Statement<Row>
    /** A function that runs `body` in a transaction; `.immediate` takes the write lock first. */
    transaction<Arguments extends readonly unknown[], Result>(
      body: (...given: Arguments) => Result,
    ): ((...given: Arguments) => Result) & { immediate: (...given: Arguments) => Result }
    pragma(text: string, options?: { simple?: boolean }): unknown
    exec(sql: string): void
    /** Makes a function for SQL. */
    function(name: string, body: (value: Bound) => Bound): void
    backup(file: string): Promise<{ totalPages: number; remainingPages: number }>
    close(): void
  }

  export type { Statement }
}
