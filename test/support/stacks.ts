/**
 * How many test files of an end-to-end project run at once, each beside a stack, an embedded AWS and a Postgres that no
 * other file touches meanwhile. A run is a third waiting: two of them use two cores, more would only slow each other.
 */
export const STACKS = 2;
