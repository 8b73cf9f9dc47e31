/**
 * Lines of dbt 2 as the previews 201 and 202 print them, made of 2.0.0rc196's: what has a code in its text bears the
 * code's name and number, and is otherwise as it was, false successes and all.
 */
export function withNamedErrors(lines: readonly string[], rename: (name: string) => string = (name) => name): string[] {
  return lines.map((text) => {
    const [, name, number] = /"msg":"\[\w+\] \[(\w+) \(dbt(\d+)\)\]/.exec(text) ?? [];
    if (name === undefined || !text.includes('"name":"Generic"')) return text;
    const line = JSON.parse(text) as { info: Record<string, unknown> };
    const renamed = rename(name);
    line.info.name = renamed;
    line.info.code = number;
    line.info.msg = String(line.info.msg).replace(`[${name} (dbt`, `[${renamed} (dbt`);
    return JSON.stringify(line);
  });
}
