/** dbt 1's own last word per vertex at info level, read from its lines as they are, apart from core's reader. */
export function wordsOfDbt(lines: readonly string[]): Record<string, string> {
  const words: Record<string, string> = {};
  for (const line of lines.filter((text) => text.startsWith("{"))) {
    const { info, data } = JSON.parse(line) as {
      info?: { name: string };
      data?: { status?: string; node_info?: { unique_id: string; node_status: string } };
    };
    if (!data?.node_info || !/^(Log(Model|Seed|Snapshot|Test|NodeNoOp)Result|SkippingDetails)$/.test(info?.name ?? ""))
      continue;
    const { unique_id, node_status } = data.node_info;
    words[unique_id] = node_status === "None" ? (data.status ?? "") : node_status;
  }
  return words;
}
