// Writes one valid input of each kind. usage: make_fuzz_seeds FOLDER
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <system_error>

#include "wire/everything.hpp"
#include "wire/exception.hpp"
#include "wire/module.hpp"

namespace {

using namespace brood::wire;
namespace fs = std::filesystem;

void write(const fs::path& path, const std::string& bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

template <class T>
std::string bytes_of(const T& value) {
  Writer writer;
  save(writer, value);
  return writer.take_string();
}

template <class E>
std::string bytes_of_exception(const E& exception) {
  Writer writer;
  save_exception(writer, std::make_exception_ptr(exception));
  return writer.take_string();
}

// Type and window, as archive_fuzzer.cpp reads them.
std::string head(char type, char step) { return {type, step}; }

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: make_fuzz_seeds FOLDER\n";
    return 2;
  }
  const fs::path folder = argv[1];
  const Everything all = make_everything();
  for (const char step : {'\0', '\1', '\7'}) {
    const std::string suffix = "-" + std::to_string(step);
    write(folder / "archive" / ("everything" + suffix), head(0, step) + bytes_of(all));
    write(folder / "archive" / ("containers" + suffix), head(1, step) + bytes_of(all.containers));
    write(folder / "archive" / ("tree" + suffix), head(2, step) + bytes_of(all.tree));
    write(folder / "archive" / ("value" + suffix), head(3, step) + bytes_of(all.value));
    write(folder / "archive" / ("constants" + suffix), head(4, step) + bytes_of(all.constants));
    write(folder / "archive" / ("blocks" + suffix), head(6, step) + bytes_of(all.containers.blocks));
  }
  const std::error_code code(2, std::generic_category());
  write(folder / "exception" / "range", bytes_of_exception(std::out_of_range("text")));
  write(folder / "exception" / "file", bytes_of_exception(std::filesystem::filesystem_error("x", "/a", "/b", code)));
  write(folder / "exception" / "number", bytes_of_exception(42));
  write(folder / "module" / "address", bytes_of(locate(reinterpret_cast<const void*>(&head))));
  std::ifstream library("/proc/self/exe", std::ios::binary);
  std::string start(4096, '\0');  // its headers
  library.read(start.data(), static_cast<std::streamsize>(start.size()));
  write(folder / "module" / "library", start);
  return 0;
}
