import type { AttributeValue, DynamoDBClient } from "@aws-sdk/client-dynamodb";

type Item = Record<string, AttributeValue>;

const text = (item: Item, name: string): string => item[name]?.S ?? "";

/** A DynamoDB client that answers the ledger's reads from rows as they were recorded, and refuses every write. */
export function rowsClient(items: readonly Item[]): DynamoDBClient {
  const find = ({ pk, sk }: Item) => items.find((item) => text(item, "pk") === pk?.S && text(item, "sk") === sk?.S);
  const answers: Record<string, (input: never) => object> = {
    GetItemCommand: ({ Key }: { Key: Item }) => ({ Item: find(Key) }),
    BatchGetItemCommand: ({ RequestItems }: { RequestItems: Record<string, { Keys: Item[] }> }) => ({
      Responses: Object.fromEntries(
        Object.entries(RequestItems).map(([table, { Keys }]) => [
          table,
          Keys.map(find).filter((item) => item !== undefined),
        ]),
      ),
    }),
    // The ledger's one kind of query: a partition, and what its sort keys begin with.
    QueryCommand: ({ ExpressionAttributeValues, ScanIndexForward, Limit }: QueryInput) => {
      const [pk, prefix] = Object.values(ExpressionAttributeValues).map((value) => value.S ?? "");
      const found = items.filter((item) => text(item, "pk") === pk && text(item, "sk").startsWith(prefix ?? ""));
      return { Items: (ScanIndexForward === false ? found.toReversed() : found).slice(0, Limit) };
    },
  };
  const send = async (command: { constructor: { name: string }; input: unknown }) => {
    const answer = answers[command.constructor.name];
    if (answer === undefined) throw new Error(`${command.constructor.name}: recorded rows are not written.`);
    return answer(command.input as never);
  };
  return { send, middlewareStack: { add: () => undefined } } as unknown as DynamoDBClient;
}

interface QueryInput {
  readonly ExpressionAttributeValues: Record<string, AttributeValue>;
  readonly ScanIndexForward?: boolean;
  readonly Limit?: number;
}
