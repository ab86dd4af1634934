// The identity of an ELF module, in memory or in its file.
#pragma once

#include <elf.h>
#include <link.h>

#include <cstddef>
#include <functional>
#include <iosfwd>
#include <span>
#include <string>

namespace brood::wire {

using ProgramHeaders = std::span<const ElfW(Phdr)>;

// Copies `size` bytes of the module that are at virtual address `address`; false when they are not there.
using ReadImage = std::function<bool(std::uint64_t address, void* to, std::size_t size)>;

// The build-id in hexadecimal. For a module without one, "layout-" and a hash of its program headers and of its
// read-only data, which hold the symbol table and the size of every function.
std::string identity_of(ProgramHeaders headers, const ReadImage& read);

// The identity of the module in a file; empty when it is not a file that could be loaded here.
std::string identity_of_file(const std::string& path);
std::string identity_of_file(std::istream& file);

}  // namespace brood::wire
