// Places in the code of a program and its shared libraries, named so that another process finds them again.
//
// An address means nothing in another process: libraries lie elsewhere, and may be of another build. A CodeAddress is
// the module's identity and the distance from its start.
//
// Thread safety: all functions may be called from any thread. Across fork: nothing to do.
#pragma once

#include <brood/archive.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace brood::wire {

// Can be archived, as any aggregate.
struct CodeAddress {
  std::string build_id;      // hexadecimal; for a module without one, "layout-" and a hash of its layout
  std::string path;          // empty for the program itself
  std::uint64_t offset = 0;  // from where the module is loaded

  bool operator==(const CodeAddress&) const = default;
};

// Notes which modules are loaded, for the children that are forked from now on.
void remember_modules();
// In such a child: what is noted is used without asking the loader, whose lock another thread of the parent may have
// held at the fork. Libraries opened later are still found the slow way.
void trust_remembered_modules() noexcept;

// Where `address`, of a function or of an object with static storage, lies.
// Throws ProcessError when it is in no loaded module.
CodeAddress locate(const void* address);

// Whether `address` may come to mean something else: it is in a library, and the program may close that.
bool may_be_closed(const void* address);
// How many modules the program has closed so far: while the number is the same, every address means what it meant.
// Nothing in a child that must not ask the loader.
std::optional<std::uint64_t> closed_modules();

// The address in this process of the object or function of `size` bytes that `address` names. A library that is not
// loaded yet is loaded from its path, after its identity has been checked; it is never unloaded.
// Throws ProcessError when this process cannot have the module or has another build of it, ArchiveError when the module
// has nothing at that offset.
const void* resolve(const CodeAddress& address, std::size_t size = 1);

}  // namespace brood::wire
