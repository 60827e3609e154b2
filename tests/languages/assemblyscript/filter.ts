// A filter in AssemblyScript.

@external("env", "proxy_log")
declare function proxy_log(level: u32, data: usize, size: u32): u32;
@external("env", "proxy_get_header_map_value")
declare function proxy_get_header_map_value(
  headers: u32, name: usize, nameSize: u32, toData: usize, toSize: usize): u32;
@external("env", "proxy_replace_header_map_value")
declare function proxy_replace_header_map_value(
  headers: u32, name: usize, nameSize: u32, value: usize, valueSize: u32): u32;

export function proxy_abi_version_0_2_1(): void {}

export function malloc(size: u32): usize {
  return heap.alloc(size);
}

// Instead of the import `env.abort`, which no proxy has.
export function onAbort(message: string | null, file: string | null, line: u32, column: u32): void {
  log(5, (message ? message : "aborted") + " at line " + line.toString());
  unreachable();
}

function log(level: u32, text: string): void {
  const bytes = String.UTF8.encode(text);
  proxy_log(level, changetype<usize>(bytes), bytes.byteLength);
}

function header(name: string): string {
  const key = String.UTF8.encode(name);
  const result = memory.data(8);
  if (proxy_get_header_map_value(0, changetype<usize>(key), key.byteLength, result, result + 4) != 0) {
    return "";
  }
  return String.UTF8.decodeUnsafe(load<usize>(result), load<u32>(result + 4));
}

export function proxy_on_configure(context: u32, size: u32): u32 {
  if (size == 0) throw new Error("the configuration is empty");
  return 1;
}

export function proxy_on_request_headers(context: u32, count: u32, end: u32): u32 {
  const path = header(":path").toUpperCase();
  log(2, "assemblyscript saw " + path);
  const name = String.UTF8.encode("x-language");
  const value = String.UTF8.encode("assemblyscript " + path);
  proxy_replace_header_map_value(
    0, changetype<usize>(name), name.byteLength, changetype<usize>(value), value.byteLength);
  return 0;
}
