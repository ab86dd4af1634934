// The functions that a pool's jobs run, and the small numbers under which its workers know them.
//
// A callable of a library is known by its address only as long as nothing was closed: what is opened next may lie at
// the same address and be another one. Then its definition is made anew and compared.
//
// Thread safety: obtain() and release() from any thread; `task_ns` of a Function is the pumping thread's alone.
#pragma once

#include <brood/detail/function.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace brood::engine {

struct Function {
  std::uint32_t number = 0;  // from 1: 0 is "no function"
  // A number may come to stand for another callable; workers that know an older generation are told anew.
  std::uint32_t generation = 0;
  std::uint32_t users = 0;
  bool permanent = false;
  std::string definition;          // payload of the define frame
  std::atomic<double> task_ns{0};  // measured time of a task; 0: not yet known
};

class Functions {
 public:
  // The entry of `ref`. A permanent function keeps its entry for good, any other until release().
  Function* obtain(const wire::FunctionRef& ref);
  // Made from what is already in the form in which it travels.
  Function* obtain(const wire::FunctionRecord* record, const std::string& state);
  void release(Function* function) noexcept;

 private:
  struct Key {
    const wire::FunctionRecord* record;
    std::array<std::uint64_t, 2> state;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const noexcept;
  };

  struct Entry {
    Function* function = nullptr;
    bool lasting = false;                   // what it names is in the program itself
    std::optional<std::uint64_t> closed{};  // else: wire::closed_modules() when it was last compared
    bool holds() const;
  };

  Function* fresh();

  std::mutex mutex_;
  std::deque<Function> all_;
  std::vector<Function*> free_;
  std::unordered_map<Key, Entry, Hash> permanent_;
  Key last_key_{};  // most programs call one function many times
  Entry* last_ = nullptr;
};

}  // namespace brood::engine
