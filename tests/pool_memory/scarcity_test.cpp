// The functions of the system that obey scarcity.hpp.
#include "pool_memory/scarcity.hpp"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <new>
#include <system_error>
#include <thread>

namespace {

using brood::testing::scarcity;

void* allocate(std::size_t size) {
  if (scarcity.allocations_left > 0 && --scarcity.allocations_left == 0) {
    scarcity.has_failed = true;
    throw std::bad_alloc();
  }
  if (void* const memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size) { return allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*body)(void*), void* data) {
  if (scarcity.no_threads) return EAGAIN;
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto create = reinterpret_cast<Create>(::dlsym(RTLD_NEXT, "pthread_create"));
  return create(thread, attributes, body, data);
}

TEST(Scarcity, IsFelt) {
  scarcity.fail_at(2);
  const auto one = std::make_unique<int>(1);
  EXPECT_THROW(std::make_unique<int>(2), std::bad_alloc);
  EXPECT_TRUE(scarcity.end());
  scarcity.no_threads = true;
  EXPECT_THROW(std::thread([] {}), std::system_error);
  scarcity.no_threads = false;
  std::thread([] {}).join();
}
