import {
  type AttributeValue,
  BatchGetItemCommand,
  BatchWriteItemCommand,
  ConditionalCheckFailedException,
  DeleteItemCommand,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  TransactionCanceledException,
  type TransactWriteItem,
  TransactWriteItemsCommand,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import { unmarshall } from "@aws-sdk/util-dynamodb";
import { unavailable } from "#clients/aws-errors.ts";
import { LedgerUnavailable, TooMuchTold } from "#core/errors.ts";
import { absent, type Condition, Placeholders, type RowChange, toAttributes, updateParameters } from "./expressions.ts";

/** Names of the table's key attributes and of its time-to-live attribute (epoch seconds). */
const PARTITION_KEY = "pk";
const SORT_KEY = "sk";
export const EXPIRES_AT = "expiresAt";

export type Key = { readonly pk: string; readonly sk: string };
export type Row = Record<string, unknown>;

/** A write whose condition failed, with the row that made it fail (null: there is no such row). */
export interface Refusal {
  readonly row: Row | null;
}

/** One write of a transaction: a new row, or a change. */
export type TransactionPart = { readonly insert: Key & Row } | { readonly update: Key; readonly change: RowChange };

/** BatchGetItem's limit of keys a call. */
const KEYS_PER_BATCH = 100;

/** BatchWriteItem's limit of rows a call. */
export const PUTS_PER_BATCH = 25;

/**
 * Calls of one BatchGetItem batch while it answers UnprocessedKeys, which it does under load: waits of 50, 100, …
 * 1,600 ms in between, 3.15 s in all.
 */
const BATCH_ATTEMPTS = 7;
const FIRST_BATCH_WAIT_MS = 50;

/**
 * The table as the ledger's files use it: consistent reads, pages joined, and a failed condition as data. Throws
 * {@link LedgerUnavailable} for throttling and network; every other error of the SDK passes.
 */
export class DynamoTable {
  readonly #table: string;
  readonly #client: DynamoDBClient;

  constructor(table: string, client: DynamoDBClient) {
    this.#table = table;
    this.#client = client;
  }

  async get(key: Key): Promise<Row | null> {
    const command = new GetItemCommand({ TableName: this.#table, Key: wireKey(key), ConsistentRead: true });
    const { Item } = await this.#client.send(command).catch(asUnavailable("GetItem", key));
    return Item === undefined ? null : unmarshall(Item);
  }

  /**
   * Rows of a partition whose sort key begins with `prefix`, in its order; all of them unless `limit` says less. Throws
   * {@link TooMuchTold} for more than `mostPages`, of 1 MB each.
   */
  async query(
    pk: string,
    prefix: string,
    options: { newestFirst?: boolean; limit?: number; mostPages?: number } = {},
  ): Promise<Row[]> {
    const p = new Placeholders();
    const condition = `${p.name("pk")} = ${p.value(pk)} AND begins_with(${p.name("sk")}, ${p.value(prefix)})`;
    const rows: Row[] = [];
    let startKey: Record<string, AttributeValue> | undefined;
    let pages = 0;
    do {
      pages += 1;
      if (pages > (options.mostPages ?? Number.POSITIVE_INFINITY)) throw new TooMuchTold(pk, pages - 1);
      const command = new QueryCommand({
        TableName: this.#table,
        KeyConditionExpression: condition,
        ExpressionAttributeNames: p.names,
        ExpressionAttributeValues: toAttributes(p.values),
        ConsistentRead: true,
        ScanIndexForward: options.newestFirst !== true,
        ...(options.limit === undefined ? {} : { Limit: options.limit - rows.length }),
        ...(startKey === undefined ? {} : { ExclusiveStartKey: startKey }),
      });
      const page = await this.#client.send(command).catch(asUnavailable("Query", { pk, sk: prefix }));
      rows.push(...(page.Items ?? []).map((row) => unmarshall(row)));
      startKey = page.LastEvaluatedKey;
    } while (startKey !== undefined && rows.length < (options.limit ?? Number.POSITIVE_INFINITY));
    return rows;
  }

  /** The rows that exist among these keys, in no order. */
  async getMany(keys: readonly Key[]): Promise<Row[]> {
    const unique = [...new Map(keys.map((key) => [`${key.pk}\n${key.sk}`, key])).values()];
    const rows: Row[] = [];
    for (let start = 0; start < unique.length; start += KEYS_PER_BATCH)
      rows.push(...(await this.#getBatch(unique.slice(start, start + KEYS_PER_BATCH))));
    return rows;
  }

  async #getBatch(keys: readonly Key[]): Promise<Row[]> {
    const rows: Row[] = [];
    let open: Record<string, AttributeValue>[] = keys.map(wireKey);
    for (let attempt = 0; attempt < BATCH_ATTEMPTS && open.length > 0; attempt += 1) {
      if (attempt > 0) await pause(FIRST_BATCH_WAIT_MS * 2 ** (attempt - 1));
      const command = new BatchGetItemCommand({
        RequestItems: { [this.#table]: { Keys: open, ConsistentRead: true } },
      });
      const answer = await this.#client.send(command).catch(asUnavailable("BatchGetItem", keys[0]));
      rows.push(...(answer.Responses?.[this.#table] ?? []).map((row) => unmarshall(row)));
      open = answer.UnprocessedKeys?.[this.#table]?.Keys ?? [];
    }
    if (open.length > 0)
      throw new LedgerUnavailable(
        `BatchGetItem left ${open.length} of ${keys.length} keys of ${keys[0]?.pk} unread after ${BATCH_ATTEMPTS} calls: call again in a moment.`,
      );
    return rows;
  }

  /** Writes a new row; refused if the key is taken. */
  async insert(row: Key & Row): Promise<Refusal | null> {
    const command = new PutItemCommand({ TableName: this.#table, ...insertParameters(row) });
    return this.#conditional("PutItem", row, () => this.#client.send(command));
  }

  /**
   * Writes rows as they are, whatever stood there, in one call of {@link PUTS_PER_BATCH} at most.
   * @returns the keys of those that DynamoDB has not taken, which it answers under load
   */
  async putMany(rows: readonly (Key & Row)[]): Promise<Key[]> {
    const requests = rows.map((row) => ({ PutRequest: { Item: toAttributes(row) } }));
    const command = new BatchWriteItemCommand({ RequestItems: { [this.#table]: requests } });
    const answer = await this.#client.send(command).catch(asUnavailable("BatchWriteItem", rows[0]));
    const left = answer.UnprocessedItems?.[this.#table] ?? [];
    return left.flatMap(({ PutRequest }) => (PutRequest?.Item ? [unmarshall(PutRequest.Item) as Key] : []));
  }

  /** Changes attributes of a row, or makes it. */
  async update(key: Key, change: RowChange): Promise<Refusal | null> {
    const command = new UpdateItemCommand({
      TableName: this.#table,
      Key: wireKey(key),
      ...updateParameters(change),
      ReturnValuesOnConditionCheckFailure: "ALL_OLD",
    });
    return this.#conditional("UpdateItem", key, () => this.#client.send(command));
  }

  async delete(key: Key, when: Condition): Promise<Refusal | null> {
    const p = new Placeholders();
    const condition = when(p);
    const command = new DeleteItemCommand({
      TableName: this.#table,
      Key: wireKey(key),
      ConditionExpression: condition,
      ExpressionAttributeNames: p.names,
      ...(Object.keys(p.values).length === 0 ? {} : { ExpressionAttributeValues: toAttributes(p.values) }),
      ReturnValuesOnConditionCheckFailure: "ALL_OLD",
    });
    return this.#conditional("DeleteItem", key, () => this.#client.send(command));
  }

  /**
   * Writes all parts or none; false if a condition failed. The SDK gives each call a token, under which its own
   * retries are one transaction.
   */
  async transact(parts: readonly TransactionPart[]): Promise<boolean> {
    const command = new TransactWriteItemsCommand({ TransactItems: parts.map((part) => this.#transactionItem(part)) });
    const first = parts[0] && ("insert" in parts[0] ? parts[0].insert : parts[0].update);
    try {
      await this.#client.send(command);
      return true;
    } catch (error) {
      if (!(error instanceof TransactionCanceledException)) return asUnavailable("TransactWriteItems", first)(error);
      const reasons = (error.CancellationReasons ?? []).map((reason) => reason.Code ?? "None");
      if (reasons.includes("ConditionalCheckFailed")) return false;
      if (!reasons.some((code) => PASSING_REASONS.has(code))) throw error;
      throw new LedgerUnavailable(
        `TransactWriteItems ${first?.pk} met another write (${reasons.join(", ")}): call again in a moment.`,
        { cause: error },
      );
    }
  }

  #transactionItem(part: TransactionPart): TransactWriteItem {
    if ("insert" in part) return { Put: { TableName: this.#table, ...insertParameters(part.insert) } };
    return { Update: { TableName: this.#table, Key: wireKey(part.update), ...updateParameters(part.change) } };
  }

  /** The one place that knows how a failed condition looks. */
  async #conditional(call: string, key: Key, send: () => Promise<unknown>): Promise<Refusal | null> {
    try {
      await send();
      return null;
    } catch (error) {
      if (!(error instanceof ConditionalCheckFailedException)) return asUnavailable(call, key)(error);
      return { row: error.Item === undefined ? null : unmarshall(error.Item) };
    }
  }
}

/** Reasons of a cancelled transaction that pass by themselves. */
const PASSING_REASONS: ReadonlySet<string> = new Set([
  "TransactionConflict",
  "ThrottlingError",
  "ProvisionedThroughputExceeded",
]);

function insertParameters(row: Key & Row) {
  const p = new Placeholders();
  return {
    Item: toAttributes(row),
    ConditionExpression: absent(PARTITION_KEY)(p),
    ExpressionAttributeNames: p.names,
    ReturnValuesOnConditionCheckFailure: "ALL_OLD" as const,
  };
}

const wireKey = ({ pk, sk }: Key): Record<string, AttributeValue> => ({
  [PARTITION_KEY]: { S: pk },
  [SORT_KEY]: { S: sk },
});

const asUnavailable = (call: string, key: Key | undefined) =>
  unavailable(LedgerUnavailable, `DynamoDB ${call} ${key?.pk}/${key?.sk}`);

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
