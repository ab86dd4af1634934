#include "wire/module.hpp"

#include <brood/error.hpp>

#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "wire/elf_image.hpp"

namespace brood::wire {
namespace {

// memcpy() for what AddressSanitizer would not let through: the gaps that it puts between the variables of a module.
__attribute__((no_sanitize_address)) void copy_image(void* to, std::uint64_t from, std::size_t size) {
  auto* out = static_cast<unsigned char*>(to);
  while (size != 0) {
    const std::size_t step = from % 8 == 0 && size >= 8 ? 8 : 1;
    if (step == 8) {
      const std::uint64_t word = *reinterpret_cast<const volatile std::uint64_t*>(from);
      std::memcpy(out, &word, sizeof(word));
    } else {
      *out = *reinterpret_cast<const volatile unsigned char*>(from);
    }
    out += step;
    from += step;
    size -= step;
  }
}

struct Module {
  std::uint64_t base = 0;
  ProgramHeaders headers;
  std::string path;  // empty for the program itself

  // Whether `size` bytes at `offset` belong to the module. All its segments count: what is sought may be code or data.
  bool contains(std::uint64_t offset, std::uint64_t size) const {
    for (const auto& header : headers) {
      if (header.p_type != PT_LOAD || offset < header.p_vaddr) continue;
      const std::uint64_t within = offset - header.p_vaddr;
      if (within <= header.p_memsz && size <= header.p_memsz - within) return true;
    }
    return false;
  }

  bool read(std::uint64_t offset, void* to, std::size_t size) const {
    for (const auto& header : headers) {
      if (header.p_type != PT_LOAD || (header.p_flags & PF_R) == 0 || offset < header.p_vaddr) continue;
      const std::uint64_t within = offset - header.p_vaddr;
      if (within > header.p_filesz || size > header.p_filesz - within) continue;
      copy_image(to, base + offset, size);
      return true;
    }
    return false;
  }

  std::string identity() const {
    return identity_of(headers, [this](std::uint64_t at, void* to, std::size_t size) { return read(at, to, size); });
  }
};

// As the same name may be relative to another directory elsewhere.
std::string absolute(const std::string& path) {
  char* resolved = realpath(path.c_str(), nullptr);
  if (resolved == nullptr) return path;
  std::string result = resolved;
  std::free(resolved);
  return result;
}

// How many modules were opened and closed so far: as long as both are the same, so are the modules. Only the second
// tells a library from another build of it that was opened in its place, at the same address.
struct LoaderCounts {
  std::uint64_t opened = 0;
  std::uint64_t closed = 0;
  bool operator==(const LoaderCounts&) const = default;
};

LoaderCounts loader_counts() {
  LoaderCounts counts;
  const auto look = [](dl_phdr_info* info, std::size_t, void* data) {
    *static_cast<LoaderCounts*>(data) = {info->dlpi_adds, info->dlpi_subs};
    return 1;
  };
  dl_iterate_phdr(look, &counts);
  return counts;
}

// The program comes first. Paths are as the loader knows them.
std::vector<Module> loaded_modules(LoaderCounts* counts = nullptr) {
  struct State {
    std::vector<Module> modules;
    LoaderCounts counts;
    bool out_of_memory = false;
  } state;
  const auto add = [](dl_phdr_info* info, std::size_t, void* data) {
    auto& result = *static_cast<State*>(data);
    result.counts = {info->dlpi_adds, info->dlpi_subs};
    try {
      result.modules.push_back({info->dlpi_addr, {info->dlpi_phdr, info->dlpi_phnum}, info->dlpi_name});
    } catch (const std::bad_alloc&) {  // the loader holds a lock: nothing may leave from here
      result.out_of_memory = true;
    }
    return result.out_of_memory ? 1 : 0;
  };
  dl_iterate_phdr(add, &state);
  if (state.out_of_memory) throw std::bad_alloc();
  if (counts != nullptr) *counts = state.counts;
  return std::move(state.modules);
}

bool is_at(const Module& module, const std::string& path) {
  return module.path == path || (!module.path.empty() && !path.empty() && absolute(module.path) == path);
}

std::string describe(const std::string& path) { return path.empty() ? "the program itself" : path; }

[[noreturn]] void mismatch(const CodeAddress& wanted, const std::string& present) {
  throw ProcessError("a task's function is in " + describe(wanted.path) + " (build " + wanted.build_id +
                     "), but this process has another build of it (" + present +
                     "): both sides must run the same files. Was one replaced while the program ran?");
}

const void* address_in(const Module& module, const CodeAddress& address, std::size_t size) {
  if (!module.contains(address.offset, size)) {
    throw ArchiveError("bad code address: " + describe(module.path) + " has nothing at offset " +
                       std::to_string(address.offset));
  }
  return reinterpret_cast<const void*>(module.base + address.offset);
}

// The modules as they were at one moment, with all that asking the loader again would tell.
struct Snapshot {
  LoaderCounts counts;
  std::vector<Module> modules;
  std::vector<CodeAddress> names;      // of each module: offset 0
  const Snapshot* previous = nullptr;  // stays, since another thread may be reading it
};
constinit std::atomic<const Snapshot*> remembered{nullptr};
constinit std::atomic<bool> trusted{false};

// There is one for each time that the program opened or closed libraries.
const Snapshot& snapshot() {
  for (;;) {
    const Snapshot* known = remembered.load(std::memory_order_acquire);
    if (known != nullptr && known->counts == loader_counts()) return *known;
    auto fresh = std::make_unique<Snapshot>();
    fresh->modules = loaded_modules(&fresh->counts);
    fresh->previous = known;
    const bool only_opened = known != nullptr && known->counts.closed == fresh->counts.closed;
    for (const Module& module : fresh->modules) {
      const auto is_it = [&](const Module& other) { return other.headers.data() == module.headers.data(); };
      std::size_t i = 0;
      while (only_opened && i < known->modules.size() && !is_it(known->modules[i])) ++i;
      if (only_opened && i < known->modules.size()) {
        fresh->names.push_back(known->names[i]);
      } else {
        fresh->names.push_back({module.identity(), module.path.empty() ? module.path : absolute(module.path), 0});
      }
    }
    if (remembered.compare_exchange_strong(known, fresh.get(), std::memory_order_acq_rel)) return *fresh.release();
  }
}

const Snapshot* trusted_snapshot() {
  return trusted.load(std::memory_order_relaxed) ? remembered.load(std::memory_order_acquire) : nullptr;
}

// In a child that trusts a snapshot: whether a module of it is still there, and the same. A task may have closed it.
// (Without glibc's lock-free search it is believed.)
bool still_there(const Module& module, const CodeAddress& name) {
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 35)
  if (module.path.empty()) return true;
  const void* const table = module.headers.data();
  dl_find_object found;
  if (_dl_find_object(const_cast<void*>(table), &found) != 0 || found.dlfo_link_map->l_addr != module.base)
    return false;
  ElfW(Ehdr) start;
  copy_image(&start, reinterpret_cast<std::uint64_t>(found.dlfo_map_start), sizeof start);
  const bool same_table = std::memcmp(start.e_ident, ELFMAG, SELFMAG) == 0 && start.e_phnum == module.headers.size() &&
                          static_cast<const std::byte*>(found.dlfo_map_start) + start.e_phoff == table;
  return same_table && module.identity() == name.build_id;
#else
  (void)module, (void)name;
  return true;
#endif
}

const Module* find_remembered(const CodeAddress& wanted) {
  const Snapshot* const known = trusted_snapshot();
  for (std::size_t i = 0; known != nullptr && i < known->modules.size(); ++i) {
    const CodeAddress& name = known->names[i];
    if (name.build_id != wanted.build_id || name.path != wanted.path) continue;
    return still_there(known->modules[i], name) ? &known->modules[i] : nullptr;
  }
  return nullptr;
}

// The module with the wanted identity, best the one from the wanted path.
std::optional<Module> find_loaded(const CodeAddress& wanted) {
  const std::vector<Module> modules = loaded_modules();
  for (const Module& module : modules) {
    if (!is_at(module, wanted.path)) continue;
    if (std::string identity = module.identity(); identity != wanted.build_id) mismatch(wanted, identity);
    return module;
  }
  for (const Module& module : modules) {
    if (module.identity() == wanted.build_id) return module;
  }
  return std::nullopt;
}

// Checks before loading: the initializers of another build must not run.
void load(const CodeAddress& wanted) {
  const std::string identity = identity_of_file(wanted.path);
  if (!wanted.path.starts_with('/') || identity.empty()) {
    throw ProcessError("a task's function is in " + describe(wanted.path) +
                       ", which is not a library that this process can load");
  }
  if (identity != wanted.build_id) mismatch(wanted, identity);
  if (dlopen(wanted.path.c_str(), RTLD_NOW | RTLD_LOCAL) == nullptr) {
    const char* why = dlerror();
    throw ProcessError("a task's function is in " + wanted.path +
                       ", which this process cannot load: " + (why != nullptr ? why : "no reason given"));
  }
}

}  // namespace

void remember_modules() {
  if (!trusted.load(std::memory_order_relaxed)) snapshot();
}

void trust_remembered_modules() noexcept { trusted.store(true, std::memory_order_relaxed); }

CodeAddress locate(const void* address) {
  if (address == nullptr) throw ProcessError("a task's function is a null pointer");
  const auto wanted = reinterpret_cast<std::uint64_t>(address);
  const auto is_in = [wanted](const Module& module) {
    return wanted >= module.base && module.contains(wanted - module.base, 1);
  };
  const Snapshot* const trusts = trusted_snapshot();
  const Snapshot& known = trusts != nullptr ? *trusts : snapshot();
  for (std::size_t i = 0; i < known.modules.size(); ++i) {
    const Module& module = known.modules[i];
    if (!is_in(module) || (trusts != nullptr && !still_there(module, known.names[i]))) continue;
    CodeAddress found = known.names[i];
    found.offset = wanted - module.base;
    return found;
  }
  if (trusts != nullptr) {  // a library that was opened since
    for (const Module& module : loaded_modules()) {
      if (!is_in(module)) continue;
      return {module.identity(), module.path.empty() ? module.path : absolute(module.path), wanted - module.base};
    }
  }
  throw ProcessError("the address of a task's function is in no loaded module of the program");
}

bool may_be_closed(const void* address) {
  const auto wanted = reinterpret_cast<std::uint64_t>(address);
  const Snapshot* const trusts = trusted_snapshot();
  const Snapshot& known = trusts != nullptr ? *trusts : snapshot();
  for (const Module& module : known.modules) {
    if (wanted >= module.base && module.contains(wanted - module.base, 1)) return !module.path.empty();
  }
  return trusts != nullptr;  // which does not know the libraries that were opened since
}

std::optional<std::uint64_t> closed_modules() {
  if (trusted.load(std::memory_order_relaxed)) return std::nullopt;
  return loader_counts().closed;
}

const void* resolve(const CodeAddress& address, std::size_t size) {
  if (const Module* const known = find_remembered(address)) return address_in(*known, address, size);
  std::optional<Module> module = find_loaded(address);
  if (!module) {
    load(address);
    module = find_loaded(address);
  }
  if (!module) throw ProcessError("a task's function is in " + describe(address.path) + ", which has just gone away");
  return address_in(*module, address, size);
}

}  // namespace brood::wire
