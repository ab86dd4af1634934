// Exceptions that leave a task.
#include <exception>
#include <filesystem>
#include <functional>
#include <future>
#include <ios>
#include <memory>
#include <new>
#include <optional>
#include <regex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <typeinfo>
#include <variant>
#include <vector>

#include "pool/support.hpp"

namespace brood::pool_tests {
namespace {

class RemoteExceptions : public ::testing::Test {
 protected:
  // Whatever f throws: the task's error, seen as E and as RemoteError.
  template <class E, class F, class... Args>
  RemoteError expect_arrives_as(F f, Args... args) {
    const auto call = [&] { pool_.apply(f, args...); };
    EXPECT_THROW(call(), E);
    EXPECT_THROW(call(), std::exception);
    EXPECT_THROW(call(), Error);
    RemoteError error = thrown_by<RemoteError>(call);
    EXPECT_THROW(pool_.apply_async(f, args...).get(), E);
    const auto pids = pool_.pids();
    EXPECT_TRUE(std::find(pids.begin(), pids.end(), error.pid()) != pids.end());
    EXPECT_EQ(error.task_index(), 0U);
    return error;
  }

  Pool pool_{2};
};

struct CustomError : std::runtime_error {
  CustomError(const std::string& text, int extra_value) : std::runtime_error(text), extra(extra_value) {}
  int extra;
};
struct CustomRangeError : std::out_of_range {
  using std::out_of_range::out_of_range;
};
struct NotAnException {
  std::string text;
};

TEST_F(RemoteExceptions, StandardTypesArriveAsThemselves) {
  const auto expect = [&]<class E>(std::type_identity<E>, const std::string& name, auto thrower) {
    const RemoteError error = expect_arrives_as<E>(thrower);
    EXPECT_EQ(error.type_name(), name);
    EXPECT_FALSE(error.message().empty());
    EXPECT_NE(std::string(error.what()).find(error.message()), std::string::npos);
    EXPECT_NE(std::string(error.what()).find(std::to_string(error.pid())), std::string::npos);
  };
  using namespace std;
  expect(type_identity<invalid_argument>{}, "std::invalid_argument", [] { throw invalid_argument("text"); });
  expect(type_identity<domain_error>{}, "std::domain_error", [] { throw domain_error("text"); });
  expect(type_identity<length_error>{}, "std::length_error", [] { throw length_error("text"); });
  expect(type_identity<out_of_range>{}, "std::out_of_range", [] { static_cast<void>(vector<int>().at(5)); });
  expect(type_identity<logic_error>{}, "std::logic_error", [] { throw logic_error("text"); });
  expect(type_identity<range_error>{}, "std::range_error", [] { throw range_error("text"); });
  expect(type_identity<overflow_error>{}, "std::overflow_error", [] { throw overflow_error("text"); });
  expect(type_identity<underflow_error>{}, "std::underflow_error", [] { throw underflow_error("text"); });
  expect(type_identity<runtime_error>{}, "std::runtime_error", [] { throw runtime_error("text"); });
  expect(type_identity<bad_alloc>{}, "std::bad_alloc", [] { throw bad_alloc(); });
  expect(type_identity<bad_cast>{}, "std::bad_cast", [] { throw bad_cast(); });
  expect(type_identity<bad_function_call>{}, "std::bad_function_call", [] { function<void()>()(); });
  expect(type_identity<bad_optional_access>{}, "std::bad_optional_access",
         [] { static_cast<void>(optional<int>().value()); });
  expect(type_identity<bad_variant_access>{}, "std::bad_variant_access",
         [] { static_cast<void>(get<0>(variant<int, double>(1.0))); });
  expect(type_identity<bad_weak_ptr>{}, "std::bad_weak_ptr", [] { shared_ptr<int>{weak_ptr<int>()}; });
  expect(type_identity<future_error>{}, "std::future_error", [] {
    promise<int> once;
    static_cast<void>(once.get_future()), static_cast<void>(once.get_future());
  });
  expect(type_identity<regex_error>{}, "std::regex_error", [] { regex("("); });
  expect(type_identity<ios_base::failure>{}, "std::ios_base::failure", [] { throw ios_base::failure("text"); });
  expect(type_identity<exception>{}, "std::exception", [] { throw exception(); });
  expect(type_identity<system_error>{}, "std::system_error",
         [] { throw system_error(ENOENT, generic_category(), "open(file)"); });
  expect(type_identity<filesystem::filesystem_error>{}, "std::filesystem::filesystem_error",
         [] { static_cast<void>(filesystem::file_size("/no such file")); });
}

TEST_F(RemoteExceptions, KeepTheirTextAndCode) {
  try {
    pool_.apply([] { throw std::system_error(EACCES, std::generic_category(), "open(file)"); });
    ADD_FAILURE() << "nothing was thrown";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::permission_denied);
    EXPECT_STREQ(error.what(), std::system_error(EACCES, std::generic_category(), "open(file)").what());
  }
  const auto range = thrown_by<std::out_of_range>([&] { pool_.apply([] { throw std::out_of_range("exact text"); }); });
  EXPECT_STREQ(range.what(), "exact text");
}

TEST_F(RemoteExceptions, CustomTypesArriveAsTheirStandardBase) {
  const auto custom = expect_arrives_as<std::runtime_error>([] { throw CustomError("the text", 5); });
  EXPECT_NE(custom.type_name().find("CustomError"), std::string::npos);
  EXPECT_EQ(custom.message(), "the text");
  expect_arrives_as<std::out_of_range>([] { throw CustomRangeError("x"); });
}

TEST_F(RemoteExceptions, ThingsThatAreNoExceptions) {
  EXPECT_EQ(expect_arrives_as<std::runtime_error>([] { throw 42; }).message(), "42");
  EXPECT_EQ(expect_arrives_as<std::runtime_error>([] { throw 42; }).type_name(), "int");
  EXPECT_EQ(expect_arrives_as<std::runtime_error>([] { throw "literal"; }).message(), "literal");
  EXPECT_EQ(expect_arrives_as<std::runtime_error>([] { throw std::string("text"); }).message(), "text");
  const auto strange = expect_arrives_as<std::runtime_error>([] { throw NotAnException{"x"}; });
  EXPECT_NE(strange.type_name().find("NotAnException"), std::string::npos);
  EXPECT_NO_THROW(expect_arrives_as<std::runtime_error>([] { throw nullptr; }));
  expect_works(pool_);
}

TEST_F(RemoteExceptions, NestedCauses) {
  const auto error = expect_arrives_as<std::logic_error>([] {
    try {
      try {
        throw std::out_of_range("the first");
      } catch (...) {
        std::throw_with_nested(std::runtime_error("the second"));
      }
    } catch (...) {
      std::throw_with_nested(std::logic_error("the third"));
    }
  });
  EXPECT_EQ(error.type_name(), "std::logic_error");
  const std::string& message = error.message();
  EXPECT_LT(message.find("the third"), message.find("the second"));
  EXPECT_LT(message.find("the second"), message.find("the first"));
  EXPECT_NE(message.find("std::out_of_range"), std::string::npos);
}

struct Uncopyable : std::runtime_error {
  explicit Uncopyable(const std::string& text) : std::runtime_error(text) {}
  Uncopyable(const Uncopyable&) = delete;
  Uncopyable(Uncopyable&&) = default;
};
// Copying or rebuilding it elsewhere would fail.
struct Poisonous : std::exception {
  Poisonous() = default;
  Poisonous(const Poisonous& other) : std::exception(other) {
    if (armed) throw std::runtime_error("copied");
  }
  const char* what() const noexcept override { return "poisonous"; }
  static inline bool armed = false;
};
struct WithoutText : std::exception {
  const char* what() const noexcept override { return nullptr; }
};

TEST_F(RemoteExceptions, ThatCannotBeCopied) {
  EXPECT_EQ(expect_arrives_as<std::runtime_error>([] { throw Uncopyable("single"); }).message(), "single");
  const auto poison = expect_arrives_as<std::exception>([] {
    Poisonous::armed = true;
    throw Poisonous();
  });
  EXPECT_EQ(poison.message(), "poisonous");
  expect_arrives_as<std::exception>([] { throw WithoutText(); });
  expect_works(pool_);
}

TEST_F(RemoteExceptions, WithHugeTexts) {
  for (const std::size_t size : {100U, 10'000U, 200'000U, 5'000'000U}) {
    const auto error = expect_arrives_as<std::runtime_error>(
        [](std::size_t length) { throw std::runtime_error(std::string(length, 'x')); }, size);
    const std::string& message = error.message();
    EXPECT_GE(message.size(), std::min<std::size_t>(size, 60'000));
    EXPECT_EQ(message.find_first_not_of('x'), size <= 60'000 ? std::string::npos : message.find('.'));
  }
  expect_works(pool_);
}

TEST_F(RemoteExceptions, ThatWentThroughAnotherPool) {
  const auto error = expect_arrives_as<std::out_of_range>([] {
    Pool inner(1);
    inner.apply([] { throw std::out_of_range("from deep inside"); });
  });
  EXPECT_EQ(error.type_name(), "std::out_of_range");
  EXPECT_NE(error.message().find("from deep inside"), std::string::npos);
}

// --- where they come out -----------------------------------------------------------------------------------

int fail_at_multiples_of_10(int x) {
  if (x % 10 == 0) throw std::out_of_range("bad " + std::to_string(x));
  return x;
}

TEST_F(RemoteExceptions, MapThrowsTheFirstByIndex) {
  std::vector<int> input = numbers(1000);
  input[0] = 1;
  for (const std::size_t chunksize : {0U, 1U, 7U, 1000U}) {
    const auto list = pool_.with({.chunksize = chunksize});
    const auto error = thrown_by<RemoteError>([&] { list.map(fail_at_multiples_of_10, input); });
    EXPECT_EQ(error.task_index(), 10U) << chunksize;
    EXPECT_EQ(error.message(), "bad 10");
    const auto later = thrown_by<RemoteError>([&] { list.map_async(fail_at_multiples_of_10, input).get(); });
    EXPECT_EQ(later.task_index(), 10U) << chunksize;
  }
  std::vector<std::tuple<int>> tuples(100, 1);
  tuples[57] = 50;
  EXPECT_EQ(thrown_by<RemoteError>([&] { pool_.starmap(fail_at_multiples_of_10, tuples); }).task_index(), 57U);
  EXPECT_EQ(thrown_by<RemoteError>([&] { pool_.starmap_async(fail_at_multiples_of_10, tuples).get(); }).task_index(),
            57U);
  expect_works(pool_);
}

// The slower task has the lower index.
TEST_F(RemoteExceptions, MapWaitsForEarlierTasks) {
  const auto task = [](int x) {
    if (x == 0) {
      sleep_ms(50);
      throw std::runtime_error("slow");
    }
    if (x == 1) throw std::runtime_error("fast");
    return x;
  };
  for (int round = 0; round < 3; ++round) {
    const auto error = thrown_by<RemoteError>([&] { pool_.with({.chunksize = 1}).map(task, std::vector{0, 1, 2}); });
    EXPECT_EQ(error.message(), "slow");
  }
}

TEST_F(RemoteExceptions, ThousandBadAndThousandGoodInterleaved) {
  const auto half_bad = [](int x) {
    if (x % 2 == 1) throw std::domain_error(std::to_string(x));
    return x;
  };
  std::vector<AsyncResult<int>> answers;
  for (const int x : numbers(2000)) answers.push_back(pool_.apply_async(half_bad, x));
  for (int x = 0; x < 2000; ++x) {
    auto& answer = answers[static_cast<std::size_t>(x)];
    if (x % 2 == 0) {
      EXPECT_EQ(answer.get(), x);
    } else {
      EXPECT_EQ(thrown_by<std::domain_error>([&] { answer.get(); }).what(), std::to_string(x));
    }
  }
  auto stream = pool_.imap(half_bad, numbers(2000));
  for (int x = 0; x < 2000; ++x) {
    if (x % 2 == 0) {
      EXPECT_EQ(stream.next(), x);
    } else {
      EXPECT_EQ(thrown_by<RemoteError>([&] { stream.next(); }).task_index(), static_cast<std::uint64_t>(x));
    }
  }
  EXPECT_FALSE(stream.next());
  expect_works(pool_);
}

}  // namespace
}  // namespace brood::pool_tests
