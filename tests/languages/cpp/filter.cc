// A filter in C++, with its standard library: a reactor for WASI.
#include <cctype>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#define IMPORT(name) extern "C" __attribute__((import_module("env"), import_name(#name))) uint32_t name
#define EXPORT(name) extern "C" __attribute__((export_name(#name)))

IMPORT(proxy_log)(uint32_t level, const char *data, uint32_t size);
IMPORT(proxy_get_header_map_value)(uint32_t headers, const char *name, uint32_t name_size,
                                   char **to_data, uint32_t *to_size);
IMPORT(proxy_replace_header_map_value)(uint32_t headers, const char *name, uint32_t name_size,
                                       const char *value, uint32_t value_size);

EXPORT(proxy_abi_version_0_2_1) void abi_version() {}
EXPORT(proxy_on_memory_allocate) void *allocate(uint32_t size) { return std::malloc(size); }

// A global object: its constructor runs when the module is initialized.
static const std::string language = std::string("c++") + " ";

static std::string header(const std::string &name) {
  char *data = nullptr;
  uint32_t size = 0;
  if (proxy_get_header_map_value(0, name.data(), name.size(), &data, &size) != 0) {
    return "";
  }
  std::string value(data, size);
  std::free(data);
  return value;
}

EXPORT(proxy_on_configure) uint32_t on_configure(uint32_t, uint32_t size) {
  if (size == 0) {
    std::fputs("the configuration is empty\n", stderr);
    std::abort();
  }
  return 1;
}

EXPORT(proxy_on_request_headers) uint32_t on_request_headers(uint32_t, uint32_t, uint32_t) {
  std::string path = header(":path");
  for (char &letter : path) {
    letter = static_cast<char>(std::toupper(letter));
  }
  const std::string line = "c++ saw " + path;
  proxy_log(2, line.data(), line.size());
  const std::string name = "x-language", value = language + path;
  proxy_replace_header_map_value(0, name.data(), name.size(), value.data(), value.size());
  return 0;
}
