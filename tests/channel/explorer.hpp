// Tries small models of two processes in every interleaving.
//
// A model is a step machine: from a state, each process can make its next access to shared memory. The explorer visits
// every state that can be reached, so what it does not find does not happen in the model. The models follow the code
// access by access; when the code changes, they change with it. What a rule of the code is good for is shown by leaving
// it out: then the explorer must find what goes wrong.
//
// Memory is that of a processor with store buffers (total store order, x86): a store waits in its process's buffer,
// where only that process sees it, and reaches memory at any later moment, in order. A fence waits until the buffer is
// empty. A process that is killed has executed the stores in its buffer: they still arrive.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <vector>

namespace brood::channel::testing {

using Byte = std::uint8_t;  // states hold nothing else: they are compared and hashed as bytes

template <std::size_t kWords, std::size_t kProcesses, std::size_t kDepth>
struct BufferedMemory {
  struct Store {
    Byte word, value;
  };
  Byte words[kWords];
  Byte waiting[kProcesses];
  Store buffers[kProcesses][kDepth];

  Byte load(std::size_t process, std::size_t word) const {
    for (std::size_t i = waiting[process]; i-- > 0;) {
      if (buffers[process][i].word == word) return buffers[process][i].value;
    }
    return words[word];
  }
  void store(std::size_t process, std::size_t word, std::size_t value) {
    ASSERT_LT(waiting[process], kDepth) << "the model needs deeper store buffers";
    buffers[process][waiting[process]++] = {static_cast<Byte>(word), static_cast<Byte>(value)};
  }
  bool has_room(std::size_t process) const { return waiting[process] < kDepth; }
  bool drained(std::size_t process) const { return waiting[process] == 0; }
  void drain_one(std::size_t process) {
    words[buffers[process][0].word] = buffers[process][0].value;
    --waiting[process];
    std::copy(buffers[process] + 1, buffers[process] + kDepth, buffers[process]);
    buffers[process][kDepth - 1] = {};
    for (std::size_t i = waiting[process]; i < kDepth; ++i) buffers[process][i] = {};
  }
  // What membarrier() does to the other side.
  void drain(std::size_t process) {
    while (!drained(process)) drain_one(process);
  }
};

struct Verdict {
  std::size_t states = 0;
  std::string problem;             // empty: nothing went wrong in any interleaving
  std::vector<std::string> steps;  // how to get there

  std::string text() const {
    std::string all = problem.empty() ? "no problem" : problem;
    all += " (" + std::to_string(states) + " states)";
    for (const std::string& step : steps) all += "\n  " + step;
    return all;
  }
};

template <class State>
struct HashBytes {
  std::size_t operator()(const State& state) const noexcept {
    char bytes[sizeof(State)];
    std::memcpy(bytes, &state, sizeof bytes);
    return std::hash<std::string_view>()(std::string_view(bytes, sizeof bytes));
  }
};
template <class State>
struct SameBytes {
  bool operator()(const State& a, const State& b) const noexcept { return std::memcmp(&a, &b, sizeof a) == 0; }
};

// Model: State initial(); void next(State, emit) with emit(label, State) for each possible step; const char*
// problem(State), null when it is a good one; bool may_end(State): whether it is fine that nothing can happen any more.
template <class Model>
Verdict explore(const Model& model) {
  using State = typename Model::State;
  static_assert(std::has_unique_object_representations_v<State>, "states must consist of bytes without gaps");
  struct Origin {
    const State* from;
    const char* step;
  };
  std::unordered_map<State, Origin, HashBytes<State>, SameBytes<State>> seen;
  std::vector<const State*> found;  // in breadth, so that the way to a problem is a shortest one
  const auto add = [&](const State& state, Origin origin) {
    const auto [place, is_new] = seen.emplace(state, origin);
    if (is_new) found.push_back(&place->first);  // elements of the map never move
  };
  const auto verdict_at = [&](const State* state, std::string problem) {
    Verdict verdict{seen.size(), std::move(problem), {}};
    for (const State* at = state; at != nullptr;) {
      const Origin origin = seen.at(*at);
      if (origin.step != nullptr) verdict.steps.emplace_back(origin.step);
      at = origin.from;
    }
    std::reverse(verdict.steps.begin(), verdict.steps.end());
    return verdict;
  };
  add(model.initial(), {nullptr, nullptr});
  for (std::size_t i = 0; i < found.size(); ++i) {
    const State* const state = found[i];
    if (const char* const problem = model.problem(*state)) return verdict_at(state, problem);
    bool stuck = true;
    model.next(*state, [&](const char* step, const State& next) {
      stuck = false;
      add(next, {state, step});
    });
    if (stuck && !model.may_end(*state)) return verdict_at(state, "nothing can happen any more");
  }
  return {seen.size(), {}, {}};
}

}  // namespace brood::channel::testing
