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

// The program comes first. Paths are as the loader knows them.
std::vector<Module> loaded_modules() {
  struct State {
    std::vector<Module> modules;
    bool out_of_memory = false;
  } state;
  const auto add = [](dl_phdr_info* info, std::size_t, void* data) {
    auto& result = *static_cast<State*>(data);
    try {
      result.modules.push_back({info->dlpi_addr, {info->dlpi_phdr, info->dlpi_phnum}, info->dlpi_name});
    } catch (const std::bad_alloc&) {  // the loader holds a lock: nothing may leave from here
      result.out_of_memory = true;
    }
    return result.out_of_memory ? 1 : 0;
  };
  dl_iterate_phdr(add, &state);
  if (state.out_of_memory) throw std::bad_alloc();
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
  std::vector<Module> modules;
  std::vector<CodeAddress> names;  // of each module: offset 0
};
constinit std::atomic<const Snapshot*> remembered{nullptr};
constinit std::atomic<bool> trusted{false};

bool same_modules(const std::vector<Module>& a, const std::vector<Module>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Module& x, const Module& y) {
    return x.base == y.base && x.path == y.path && x.headers.data() == y.headers.data();
  });
}

const Module* find_remembered(const CodeAddress& wanted) {
  const Snapshot* const snapshot = remembered.load(std::memory_order_acquire);
  if (!trusted.load(std::memory_order_relaxed) || snapshot == nullptr) return nullptr;
  for (std::size_t i = 0; i < snapshot->modules.size(); ++i) {
    const CodeAddress& name = snapshot->names[i];
    if (name.build_id == wanted.build_id && name.path == wanted.path) return &snapshot->modules[i];
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
  std::vector<Module> modules = loaded_modules();
  const Snapshot* const known = remembered.load(std::memory_order_acquire);
  if (known != nullptr && same_modules(known->modules, modules)) return;
  auto snapshot = std::make_unique<Snapshot>();
  for (const Module& module : modules) {
    snapshot->names.push_back({module.identity(), module.path.empty() ? module.path : absolute(module.path), 0});
  }
  snapshot->modules = std::move(modules);
  // The old one stays: another thread may be reading it. There is one for each time the program opened libraries.
  remembered.store(snapshot.release(), std::memory_order_release);
}

void trust_remembered_modules() noexcept { trusted.store(true, std::memory_order_relaxed); }

CodeAddress locate(const void* address) {
  const auto wanted = reinterpret_cast<std::uint64_t>(address);
  if (trusted.load(std::memory_order_relaxed)) {
    const Snapshot* const snapshot = remembered.load(std::memory_order_acquire);
    for (std::size_t i = 0; snapshot != nullptr && i < snapshot->modules.size(); ++i) {
      const Module& module = snapshot->modules[i];
      if (wanted < module.base || !module.contains(wanted - module.base, 1)) continue;
      CodeAddress found = snapshot->names[i];
      found.offset = wanted - module.base;
      return found;
    }
  }
  for (const Module& module : loaded_modules()) {
    if (wanted < module.base || !module.contains(wanted - module.base, 1)) continue;
    return {module.identity(), module.path.empty() ? module.path : absolute(module.path), wanted - module.base};
  }
  throw ProcessError("the address of a task's function is in no loaded module of the program");
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
