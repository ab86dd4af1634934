#include "wire/exception.hpp"

#include <brood/error.hpp>

#include <gtest/gtest.h>

#include <any>
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

namespace brood::wire {
namespace {

// The exception as it arrives in another process.
std::exception_ptr sent(const std::exception_ptr& exception) {
  Writer writer;
  save_exception(writer, exception);
  const std::vector<std::byte> bytes = writer.take();
  Reader reader{std::span<const std::byte>(bytes)};
  const std::exception_ptr result = load_exception(reader, 1234, 7);
  reader.finish();
  return result;
}

template <class E>
std::exception_ptr sent(const E& exception) {
  return sent(std::make_exception_ptr(exception));
}

// Arrives as an E, as a std::exception and as a RemoteError; returns the last.
template <class E>
RemoteError expect_arrives_as(const std::exception_ptr& exception, const std::string& text) {
  EXPECT_THROW(std::rethrow_exception(exception), Error);
  try {
    std::rethrow_exception(exception);
  } catch (const E& caught) {
    EXPECT_STREQ(caught.what(), text.c_str());
  } catch (...) {
    ADD_FAILURE() << "not a " << typeid(E).name();
  }
  try {
    std::rethrow_exception(exception);
  } catch (const std::exception& caught) {
    EXPECT_STREQ(caught.what(), text.c_str());
  } catch (...) {
    ADD_FAILURE() << "not a std::exception";
  }
  try {
    std::rethrow_exception(exception);
  } catch (const RemoteError& caught) {
    EXPECT_EQ(caught.pid(), 1234);
    EXPECT_EQ(caught.task_index(), 7U);
    return caught;
  }
}

template <class E>
void expect_as_itself(const E& exception, const std::string& name) {
  const RemoteError remote = expect_arrives_as<E>(sent(exception), exception.what());
  EXPECT_EQ(remote.type_name(), name);
  EXPECT_EQ(remote.message(), exception.what());
  EXPECT_EQ(remote.what(), name + ": " + exception.what() + " (task 7, worker 1234)");
}

template <class E>
class WithMessage : public ::testing::Test {};
using MessageTypes =
    ::testing::Types<std::logic_error, std::invalid_argument, std::domain_error, std::length_error, std::out_of_range,
                     std::runtime_error, std::range_error, std::overflow_error, std::underflow_error>;
TYPED_TEST_SUITE(WithMessage, MessageTypes);

TYPED_TEST(WithMessage, ArrivesAsItself) {
  const RemoteError remote = expect_arrives_as<TypeParam>(sent(TypeParam("some text")), "some text");
  EXPECT_EQ(remote.type_name().substr(0, 5), "std::");
  EXPECT_EQ(remote.message(), "some text");
}

template <class E>
class WithoutMessage : public ::testing::Test {};
using PlainTypes = ::testing::Types<std::exception, std::bad_exception, std::bad_alloc, std::bad_array_new_length,
                                    std::bad_cast, std::bad_typeid, std::bad_any_cast, std::bad_function_call,
                                    std::bad_optional_access, std::bad_variant_access, std::bad_weak_ptr>;
TYPED_TEST_SUITE(WithoutMessage, PlainTypes);

TYPED_TEST(WithoutMessage, ArrivesAsItself) {
  const RemoteError remote = expect_arrives_as<TypeParam>(sent(TypeParam()), TypeParam().what());
  EXPECT_EQ(remote.message(), TypeParam().what());
}

TEST(ExceptionInTransit, NamesAreThoseOfTheProgram) {
  expect_as_itself(std::out_of_range("no"), "std::out_of_range");
  expect_as_itself(std::ios_base::failure("no"), "std::ios_base::failure");
  expect_as_itself(std::filesystem::filesystem_error("no", std::error_code()), "std::filesystem::filesystem_error");
}

template <class E>
std::error_code arrived_code(const E& exception) {
  try {
    std::rethrow_exception(sent(exception));
  } catch (const E& caught) {
    EXPECT_STREQ(caught.what(), exception.what());
    return caught.code();
  }
}

TEST(ExceptionInTransit, ErrorCodes) {
  const std::error_code missing(ENOENT, std::generic_category());
  const std::error_code denied(EACCES, std::system_category());
  EXPECT_EQ(arrived_code(std::system_error(missing, "open")), missing);
  EXPECT_EQ(arrived_code(std::system_error(denied, "open")), denied);
  EXPECT_EQ(arrived_code(std::ios_base::failure("read", std::io_errc::stream)),
            std::make_error_code(std::io_errc::stream));
  EXPECT_EQ(arrived_code(std::future_error(std::future_errc::no_state)),
            std::make_error_code(std::future_errc::no_state));
  EXPECT_EQ(arrived_code(std::filesystem::filesystem_error("copy", "/a", "/b", denied)), denied);
}

TEST(ExceptionInTransit, FilesystemErrorKeepsItsPaths) {
  const std::error_code denied(EACCES, std::system_category());
  try {
    std::rethrow_exception(sent(std::filesystem::filesystem_error("copy", "/a", "/b", denied)));
  } catch (const std::filesystem::filesystem_error& caught) {
    EXPECT_EQ(caught.path1(), "/a");
    EXPECT_EQ(caught.path2(), "/b");
  }
}

TEST(ExceptionInTransit, RegexErrorKeepsItsCode) {
  try {
    std::regex("(");
    FAIL();
  } catch (const std::regex_error& thrown) {
    try {
      std::rethrow_exception(sent(std::current_exception()));
    } catch (const std::regex_error& caught) {
      EXPECT_EQ(caught.code(), thrown.code());
      EXPECT_STREQ(caught.what(), thrown.what());
    }
  }
}

class OwnCategory : public std::error_category {
 public:
  const char* name() const noexcept override { return "own"; }
  std::string message(int) const override { return "own message"; }
};

TEST(ExceptionInTransit, UnknownCategoryKeepsItsValueAndText) {
  static const OwnCategory own;
  const std::system_error thrown(std::error_code(42, own), "call");
  const std::error_code code = arrived_code(thrown);
  EXPECT_EQ(code.value(), 42);
  EXPECT_STREQ(code.category().name(), "foreign");
  EXPECT_NE(code.message().find("42"), std::string::npos);
}

struct OwnError : std::out_of_range {
  using out_of_range::out_of_range;
};
struct BareError : std::exception {
  const char* what() const noexcept override { return "bare"; }
};
struct NullError : std::exception {
  const char* what() const noexcept override { return nullptr; }
};
struct NoError {};
struct TwoErrors : std::runtime_error, std::logic_error {
  TwoErrors() : std::runtime_error("a"), std::logic_error("b") {}
};
struct Uncopyable : std::runtime_error {
  using runtime_error::runtime_error;
  Uncopyable(const Uncopyable&) = delete;
};

TEST(ExceptionInTransit, OthersArriveAsTheNearestBase) {
  const RemoteError own = expect_arrives_as<std::out_of_range>(sent(OwnError("mine")), "mine");
  EXPECT_EQ(own.type_name(), "brood::wire::(anonymous namespace)::OwnError");
  expect_arrives_as<std::exception>(sent(BareError()), "bare");
  expect_arrives_as<std::exception>(sent(NullError()), "");
  expect_arrives_as<std::runtime_error>(sent(NoError()), "");
  expect_arrives_as<std::runtime_error>(sent(TwoErrors()), "");
  try {
    throw Uncopyable("alone");
  } catch (...) {
    expect_arrives_as<std::runtime_error>(sent(std::current_exception()), "alone");
  }
}

template <class T>
void expect_value(const T& thrown, const std::string& name, const std::string& text) {
  const RemoteError remote = expect_arrives_as<std::runtime_error>(sent(thrown), text);
  EXPECT_EQ(remote.type_name(), name);
  EXPECT_EQ(remote.message(), text);
}

TEST(ExceptionInTransit, ThingsThatAreNoExceptions) {
  expect_value(42, "int", "42");
  expect_value(-42L, "long", "-42");
  expect_value(static_cast<const char*>("text"), "char const*", "text");
  expect_value(std::string("text"), "std::string", "text");
  expect_value(nullptr, "decltype(nullptr)", "");
  expect_value(1.5, "double", "");
  EXPECT_NE(expect_arrives_as<std::runtime_error>(sent(std::make_error_code(std::errc::io_error)),
                                                  std::make_error_code(std::errc::io_error).message())
                .message(),
            "");
}

std::exception_ptr nested(int depth) {
  try {
    try {
      if (depth == 0) throw std::out_of_range("root");
      std::rethrow_exception(nested(depth - 1));
    } catch (...) {
      std::throw_with_nested(std::runtime_error("level " + std::to_string(depth)));
    }
  } catch (...) {
    return std::current_exception();
  }
}

TEST(ExceptionInTransit, NestedCauses) {
  const RemoteError remote = expect_arrives_as<std::runtime_error>(sent(nested(1)), "level 1");
  EXPECT_EQ(remote.type_name(), "std::runtime_error");
  EXPECT_EQ(remote.message(), "level 1; caused by std::runtime_error: level 0; caused by std::out_of_range: root");
}

TEST(ExceptionInTransit, NestedCausesAreBounded) {
  const std::string message = expect_arrives_as<std::runtime_error>(sent(nested(100)), "level 100").message();
  EXPECT_NE(message.find("level 90"), std::string::npos);
  EXPECT_EQ(message.find("level 50"), std::string::npos);
  EXPECT_NE(message.find("; caused by more"), std::string::npos);
}

TEST(ExceptionInTransit, CauseOfSomethingThatIsNoException) {
  try {
    try {
      throw 42;
    } catch (...) {
      std::throw_with_nested(NoError());
    }
  } catch (...) {
    const RemoteError remote = expect_arrives_as<std::runtime_error>(sent(std::current_exception()), "");
    EXPECT_EQ(remote.type_name(), "brood::wire::(anonymous namespace)::NoError");
    EXPECT_EQ(remote.message(), "caused by int: 42");
  }
}

// A task that ran a pool of its own: the name stays, both places are told.
TEST(ExceptionInTransit, FromAPoolInATask) {
  const std::exception_ptr once = sent(std::out_of_range("no such key"));
  const RemoteError twice = expect_arrives_as<std::out_of_range>(sent(once), "no such key");
  EXPECT_EQ(twice.type_name(), "std::out_of_range");
  EXPECT_EQ(twice.message(), "no such key (task 7, worker 1234)");
  const RemoteError from_value = expect_arrives_as<std::runtime_error>(sent(sent(42)), "42");
  EXPECT_EQ(from_value.type_name(), "int");
  const RemoteError bare = expect_arrives_as<std::runtime_error>(sent(RemoteError("a::B", "text", 1, 2)), "text");
  EXPECT_EQ(bare.type_name(), "a::B");
  EXPECT_EQ(bare.message(), "text (task 2, worker 1)");
}

TEST(ExceptionInTransit, OwnErrorsArriveAsRuntimeErrors) {
  const RemoteError remote = expect_arrives_as<std::runtime_error>(sent(TimeoutError("late")), "late");
  EXPECT_EQ(remote.type_name(), "brood::TimeoutError");
}

TEST(ExceptionInTransit, LongTextsAreCut) {
  const std::string text(10 * kLongestMessage, 'x');
  const RemoteError remote =
      expect_arrives_as<std::runtime_error>(sent(std::runtime_error(text)), text.substr(0, kLongestMessage) + "...");
  EXPECT_LT(remote.message().size(), 2 * kLongestMessage);
  const std::string broken = "\xff\xfe\x80 \x01";
  expect_arrives_as<std::runtime_error>(sent(std::runtime_error(broken)), broken);
}

TEST(ExceptionInTransit, NullIsNotFatal) {
  EXPECT_EQ(expect_arrives_as<std::runtime_error>(sent(std::exception_ptr()), "").type_name(), "nothing");
}

TEST(ExceptionInTransit, CanBeThrownAndCopiedManyTimes) {
  const std::exception_ptr exception = sent(std::system_error(std::error_code(1, std::generic_category()), "x"));
  for (int i = 0; i < 3; ++i) {
    try {
      std::rethrow_exception(exception);
    } catch (std::system_error& caught) {
      const std::system_error copy = caught;
      EXPECT_EQ(copy.code().value(), 1);
    }
  }
}

}  // namespace
}  // namespace brood::wire
