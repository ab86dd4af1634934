// Bytes as the file of a shared library whose identity is asked for, and as a code address.
#include <brood/error.hpp>

#include <cstdint>
#include <cstdlib>
#include <span>
#include <sstream>
#include <string>

#include "wire/elf_image.hpp"
#include "wire/module.hpp"

namespace {

using namespace brood::wire;

// The path must not lead anywhere: an existing library with the right identity would rightly be loaded.
void check_address(std::span<const std::byte> bytes) {
  try {
    Reader reader(bytes);
    auto address = load<CodeAddress>(reader);
    reader.finish();
    if (!address.path.empty()) address.path = "/nonexistent/";
    if (resolve(address) == nullptr && address.offset != 0) std::abort();
  } catch (const brood::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::istringstream file(std::string(reinterpret_cast<const char*>(data), size));
  static_cast<void>(identity_of_file(file));
  check_address(std::as_bytes(std::span(data, size)));
  return 0;
}
