type Attribute = Readonly<Record<string, unknown>>;

/**
 * The size of a row as DynamoDB bills it: names and values in UTF-8; a number a byte for two digits and one more, a list or
 * map three bytes and one for each element.
 */
export function itemBytes(item: Readonly<Record<string, Attribute>>): number {
  return Object.entries(item).reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + valueBytes(value), 0);
}

function valueBytes(attribute: Attribute): number {
  const [[type, value] = ["NULL", true]] = Object.entries(attribute);
  if (type === "S") return Buffer.byteLength(value as string);
  if (type === "N") return numberBytes(value as string);
  if (type === "B") return Buffer.byteLength(value as string, "base64");
  if (type === "SS") return total((value as string[]).map((one) => Buffer.byteLength(one)));
  if (type === "NS") return total((value as string[]).map(numberBytes));
  if (type === "L") return 3 + total((value as Attribute[]).map((one) => 1 + valueBytes(one)));
  if (type === "M") {
    const fields = Object.entries(value as Record<string, Attribute>);
    return 3 + total(fields.map(([name, one]) => 1 + Buffer.byteLength(name) + valueBytes(one)));
  }
  return 1;
}

const numberBytes = (text: string): number => Math.ceil(text.replace(/[^0-9]/g, "").length / 2) + 1;

const total = (numbers: readonly number[]): number => numbers.reduce((sum, number) => sum + number, 0);
