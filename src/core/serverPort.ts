// What listens on a server, as its own `ss` or `lsof` tells it.

/** `program` and `pid` are there where the login may see them. */
export type ServerPort =
  | {
      kind: 'tcp';
      /** as bound: `127.0.0.1`, `::`, `*` */ address: string;
      port: number;
      program?: string;
      pid?: number;
    }
  | { kind: 'unix'; path: string; program?: string; pid?: number };
