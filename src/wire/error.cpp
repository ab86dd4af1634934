#include <brood/error.hpp>

#include <string>
#include <utility>

#include "wire/exit_text.hpp"

namespace brood {
namespace {

std::string death_text(pid_t pid, int exitcode, std::uint64_t task_index) {
  return "worker " + std::to_string(pid) + " " + wire::exit_text(exitcode) + " while it ran task " +
         std::to_string(task_index) + "; other tasks are not affected";
}

}  // namespace

Error::~Error() = default;

WorkerDied::WorkerDied(pid_t pid, int exitcode, std::uint64_t task_index)
    : Failure(death_text(pid, exitcode, task_index)), pid_(pid), exitcode_(exitcode), task_index_(task_index) {}

RemoteError::RemoteError(std::string type_name, std::string message, pid_t pid, std::uint64_t task_index)
    : type_name_(std::move(type_name)), message_(std::move(message)), pid_(pid), task_index_(task_index) {
  what_ = type_name_;
  if (!message_.empty()) what_ += ": " + message_;
  what_ += " " + wire::origin_text(task_index_, pid_);
}

}  // namespace brood
