// A function as a worker knows it.
#pragma once

#include <brood/detail/function.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace brood::engine {

// A callable that this worker was told of. It is made from its bytes by the first task that needs it, so that whatever
// its making does to the worker is that task's fate.
class Known {
 public:
  Known() = default;
  explicit Known(std::vector<std::byte> definition) : definition_(std::move(definition)), told_(true) {}
  Known(Known&& other) noexcept { swap(other); }
  Known& operator=(Known&& other) noexcept {
    Known(std::move(other)).swap(*this);
    return *this;
  }
  ~Known() {
    if (callable_ != nullptr) record_->close(callable_);
  }

  void call(wire::Reader& args, wire::Answer& answer) {
    if (callable_ == nullptr) make();
    record_->call(callable_, args, answer);
  }
  bool made() const noexcept { return callable_ != nullptr; }
  const wire::FunctionRecord& record() const noexcept { return *record_; }
  void call_fixed(const std::byte* args, wire::Answer& answer) { record_->call_fixed(callable_, args, answer); }

 private:
  void make() {
    if (!told_) throw ProcessError("a task names a function that was never sent");
    wire::Reader reader(definition_);
    const auto* const record = static_cast<const wire::FunctionRecord*>(wire::load_code(reader));
    if (wire::load<std::uint64_t>(reader) != record->signature) {
      throw ProcessError("the function at this place of the program has another signature: was it rebuilt?");
    }
    void* const callable = record->open(reader);
    try {
      reader.finish();
    } catch (...) {
      record->close(callable);
      throw;
    }
    record_ = record;
    callable_ = callable;
    definition_ = {};
  }
  void swap(Known& other) noexcept {
    std::swap(record_, other.record_);
    std::swap(callable_, other.callable_);
    definition_.swap(other.definition_);
    std::swap(told_, other.told_);
  }

  const wire::FunctionRecord* record_ = nullptr;
  void* callable_ = nullptr;
  std::vector<std::byte> definition_;
  bool told_ = false;
};

}  // namespace brood::engine
