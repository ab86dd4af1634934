// All of brood.
#pragma once

#include <brood/archive.hpp>
#include <brood/error.hpp>
#include <brood/pool.hpp>
#include <brood/process.hpp>
#include <brood/progress.hpp>
#include <brood/version.hpp>
