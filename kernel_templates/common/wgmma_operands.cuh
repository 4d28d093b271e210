// The lists from which the instructions of every N are made (wgmma_e4m3.cuh, wgmma_bf16.cuh):
// inline assembly takes neither loops nor arrays.
//
// N columns are N / 2 accumulators per thread: CUBINET_WGMMA_NAMES_<N> names them in an
// instruction's text, CUBINET_WGMMA_DATA_<N> binds d[0] and up to them. CUBINET_WGMMA_FOR_EACH_N(F)
// is F(N, i, ...) for every N, with the numbers of the seven operands that follow the accumulators.
#pragma once

#define CUBINET_WGMMA_NAMES_8 "%0, %1, %2, %3"
#define CUBINET_WGMMA_NAMES_16 CUBINET_WGMMA_NAMES_8 ", %4, %5, %6, %7"
#define CUBINET_WGMMA_NAMES_24 CUBINET_WGMMA_NAMES_16 ", %8, %9, %10, %11"
#define CUBINET_WGMMA_NAMES_32 CUBINET_WGMMA_NAMES_24 ", %12, %13, %14, %15"
#define CUBINET_WGMMA_NAMES_40 CUBINET_WGMMA_NAMES_32 ", %16, %17, %18, %19"
#define CUBINET_WGMMA_NAMES_48 CUBINET_WGMMA_NAMES_40 ", %20, %21, %22, %23"
#define CUBINET_WGMMA_NAMES_56 CUBINET_WGMMA_NAMES_48 ", %24, %25, %26, %27"
#define CUBINET_WGMMA_NAMES_64 CUBINET_WGMMA_NAMES_56 ", %28, %29, %30, %31"
#define CUBINET_WGMMA_NAMES_72 CUBINET_WGMMA_NAMES_64 ", %32, %33, %34, %35"
#define CUBINET_WGMMA_NAMES_80 CUBINET_WGMMA_NAMES_72 ", %36, %37, %38, %39"
#define CUBINET_WGMMA_NAMES_88 CUBINET_WGMMA_NAMES_80 ", %40, %41, %42, %43"
#define CUBINET_WGMMA_NAMES_96 CUBINET_WGMMA_NAMES_88 ", %44, %45, %46, %47"
#define CUBINET_WGMMA_NAMES_104 CUBINET_WGMMA_NAMES_96 ", %48, %49, %50, %51"
#define CUBINET_WGMMA_NAMES_112 CUBINET_WGMMA_NAMES_104 ", %52, %53, %54, %55"
#define CUBINET_WGMMA_NAMES_120 CUBINET_WGMMA_NAMES_112 ", %56, %57, %58, %59"
#define CUBINET_WGMMA_NAMES_128 CUBINET_WGMMA_NAMES_120 ", %60, %61, %62, %63"
#define CUBINET_WGMMA_NAMES_136 CUBINET_WGMMA_NAMES_128 ", %64, %65, %66, %67"
#define CUBINET_WGMMA_NAMES_144 CUBINET_WGMMA_NAMES_136 ", %68, %69, %70, %71"
#define CUBINET_WGMMA_NAMES_152 CUBINET_WGMMA_NAMES_144 ", %72, %73, %74, %75"
#define CUBINET_WGMMA_NAMES_160 CUBINET_WGMMA_NAMES_152 ", %76, %77, %78, %79"
#define CUBINET_WGMMA_NAMES_168 CUBINET_WGMMA_NAMES_160 ", %80, %81, %82, %83"
#define CUBINET_WGMMA_NAMES_176 CUBINET_WGMMA_NAMES_168 ", %84, %85, %86, %87"
#define CUBINET_WGMMA_NAMES_184 CUBINET_WGMMA_NAMES_176 ", %88, %89, %90, %91"
#define CUBINET_WGMMA_NAMES_192 CUBINET_WGMMA_NAMES_184 ", %92, %93, %94, %95"
#define CUBINET_WGMMA_NAMES_200 CUBINET_WGMMA_NAMES_192 ", %96, %97, %98, %99"
#define CUBINET_WGMMA_NAMES_208 CUBINET_WGMMA_NAMES_200 ", %100, %101, %102, %103"
#define CUBINET_WGMMA_NAMES_216 CUBINET_WGMMA_NAMES_208 ", %104, %105, %106, %107"
#define CUBINET_WGMMA_NAMES_224 CUBINET_WGMMA_NAMES_216 ", %108, %109, %110, %111"
#define CUBINET_WGMMA_NAMES_232 CUBINET_WGMMA_NAMES_224 ", %112, %113, %114, %115"
#define CUBINET_WGMMA_NAMES_240 CUBINET_WGMMA_NAMES_232 ", %116, %117, %118, %119"
#define CUBINET_WGMMA_NAMES_248 CUBINET_WGMMA_NAMES_240 ", %120, %121, %122, %123"
#define CUBINET_WGMMA_NAMES_256 CUBINET_WGMMA_NAMES_248 ", %124, %125, %126, %127"

#define CUBINET_WGMMA_DATA_8 "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
#define CUBINET_WGMMA_DATA_16 CUBINET_WGMMA_DATA_8, "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7])
#define CUBINET_WGMMA_DATA_24 \
  CUBINET_WGMMA_DATA_16, "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11])
#define CUBINET_WGMMA_DATA_32 \
  CUBINET_WGMMA_DATA_24, "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15])
#define CUBINET_WGMMA_DATA_40 \
  CUBINET_WGMMA_DATA_32, "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19])
#define CUBINET_WGMMA_DATA_48 \
  CUBINET_WGMMA_DATA_40, "+f"(d[20]), "+f"(d[21]), "+f"(d[22]), "+f"(d[23])
#define CUBINET_WGMMA_DATA_56 \
  CUBINET_WGMMA_DATA_48, "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27])
#define CUBINET_WGMMA_DATA_64 \
  CUBINET_WGMMA_DATA_56, "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31])
#define CUBINET_WGMMA_DATA_72 \
  CUBINET_WGMMA_DATA_64, "+f"(d[32]), "+f"(d[33]), "+f"(d[34]), "+f"(d[35])
#define CUBINET_WGMMA_DATA_80 \
  CUBINET_WGMMA_DATA_72, "+f"(d[36]), "+f"(d[37]), "+f"(d[38]), "+f"(d[39])
#define CUBINET_WGMMA_DATA_88 \
  CUBINET_WGMMA_DATA_80, "+f"(d[40]), "+f"(d[41]), "+f"(d[42]), "+f"(d[43])
#define CUBINET_WGMMA_DATA_96 \
  CUBINET_WGMMA_DATA_88, "+f"(d[44]), "+f"(d[45]), "+f"(d[46]), "+f"(d[47])
#define CUBINET_WGMMA_DATA_104 \
  CUBINET_WGMMA_DATA_96, "+f"(d[48]), "+f"(d[49]), "+f"(d[50]), "+f"(d[51])
#define CUBINET_WGMMA_DATA_112 \
  CUBINET_WGMMA_DATA_104, "+f"(d[52]), "+f"(d[53]), "+f"(d[54]), "+f"(d[55])
#define CUBINET_WGMMA_DATA_120 \
  CUBINET_WGMMA_DATA_112, "+f"(d[56]), "+f"(d[57]), "+f"(d[58]), "+f"(d[59])
#define CUBINET_WGMMA_DATA_128 \
  CUBINET_WGMMA_DATA_120, "+f"(d[60]), "+f"(d[61]), "+f"(d[62]), "+f"(d[63])
#define CUBINET_WGMMA_DATA_136 \
  CUBINET_WGMMA_DATA_128, "+f"(d[64]), "+f"(d[65]), "+f"(d[66]), "+f"(d[67])
#define CUBINET_WGMMA_DATA_144 \
  CUBINET_WGMMA_DATA_136, "+f"(d[68]), "+f"(d[69]), "+f"(d[70]), "+f"(d[71])
#define CUBINET_WGMMA_DATA_152 \
  CUBINET_WGMMA_DATA_144, "+f"(d[72]), "+f"(d[73]), "+f"(d[74]), "+f"(d[75])
#define CUBINET_WGMMA_DATA_160 \
  CUBINET_WGMMA_DATA_152, "+f"(d[76]), "+f"(d[77]), "+f"(d[78]), "+f"(d[79])
#define CUBINET_WGMMA_DATA_168 \
  CUBINET_WGMMA_DATA_160, "+f"(d[80]), "+f"(d[81]), "+f"(d[82]), "+f"(d[83])
#define CUBINET_WGMMA_DATA_176 \
  CUBINET_WGMMA_DATA_168, "+f"(d[84]), "+f"(d[85]), "+f"(d[86]), "+f"(d[87])
#define CUBINET_WGMMA_DATA_184 \
  CUBINET_WGMMA_DATA_176, "+f"(d[88]), "+f"(d[89]), "+f"(d[90]), "+f"(d[91])
#define CUBINET_WGMMA_DATA_192 \
  CUBINET_WGMMA_DATA_184, "+f"(d[92]), "+f"(d[93]), "+f"(d[94]), "+f"(d[95])
#define CUBINET_WGMMA_DATA_200 \
  CUBINET_WGMMA_DATA_192, "+f"(d[96]), "+f"(d[97]), "+f"(d[98]), "+f"(d[99])
#define CUBINET_WGMMA_DATA_208 \
  CUBINET_WGMMA_DATA_200, "+f"(d[100]), "+f"(d[101]), "+f"(d[102]), "+f"(d[103])
#define CUBINET_WGMMA_DATA_216 \
  CUBINET_WGMMA_DATA_208, "+f"(d[104]), "+f"(d[105]), "+f"(d[106]), "+f"(d[107])
#define CUBINET_WGMMA_DATA_224 \
  CUBINET_WGMMA_DATA_216, "+f"(d[108]), "+f"(d[109]), "+f"(d[110]), "+f"(d[111])
#define CUBINET_WGMMA_DATA_232 \
  CUBINET_WGMMA_DATA_224, "+f"(d[112]), "+f"(d[113]), "+f"(d[114]), "+f"(d[115])
#define CUBINET_WGMMA_DATA_240 \
  CUBINET_WGMMA_DATA_232, "+f"(d[116]), "+f"(d[117]), "+f"(d[118]), "+f"(d[119])
#define CUBINET_WGMMA_DATA_248 \
  CUBINET_WGMMA_DATA_240, "+f"(d[120]), "+f"(d[121]), "+f"(d[122]), "+f"(d[123])
#define CUBINET_WGMMA_DATA_256 \
  CUBINET_WGMMA_DATA_248, "+f"(d[124]), "+f"(d[125]), "+f"(d[126]), "+f"(d[127])

#define CUBINET_WGMMA_FOR_EACH_N(F)         \
  F(8, 4, 5, 6, 7, 8, 9, 10)                \
  F(16, 8, 9, 10, 11, 12, 13, 14)           \
  F(24, 12, 13, 14, 15, 16, 17, 18)         \
  F(32, 16, 17, 18, 19, 20, 21, 22)         \
  F(40, 20, 21, 22, 23, 24, 25, 26)         \
  F(48, 24, 25, 26, 27, 28, 29, 30)         \
  F(56, 28, 29, 30, 31, 32, 33, 34)         \
  F(64, 32, 33, 34, 35, 36, 37, 38)         \
  F(72, 36, 37, 38, 39, 40, 41, 42)         \
  F(80, 40, 41, 42, 43, 44, 45, 46)         \
  F(88, 44, 45, 46, 47, 48, 49, 50)         \
  F(96, 48, 49, 50, 51, 52, 53, 54)         \
  F(104, 52, 53, 54, 55, 56, 57, 58)        \
  F(112, 56, 57, 58, 59, 60, 61, 62)        \
  F(120, 60, 61, 62, 63, 64, 65, 66)        \
  F(128, 64, 65, 66, 67, 68, 69, 70)        \
  F(136, 68, 69, 70, 71, 72, 73, 74)        \
  F(144, 72, 73, 74, 75, 76, 77, 78)        \
  F(152, 76, 77, 78, 79, 80, 81, 82)        \
  F(160, 80, 81, 82, 83, 84, 85, 86)        \
  F(168, 84, 85, 86, 87, 88, 89, 90)        \
  F(176, 88, 89, 90, 91, 92, 93, 94)        \
  F(184, 92, 93, 94, 95, 96, 97, 98)        \
  F(192, 96, 97, 98, 99, 100, 101, 102)     \
  F(200, 100, 101, 102, 103, 104, 105, 106) \
  F(208, 104, 105, 106, 107, 108, 109, 110) \
  F(216, 108, 109, 110, 111, 112, 113, 114) \
  F(224, 112, 113, 114, 115, 116, 117, 118) \
  F(232, 116, 117, 118, 119, 120, 121, 122) \
  F(240, 120, 121, 122, 123, 124, 125, 126) \
  F(248, 124, 125, 126, 127, 128, 129, 130) \
  F(256, 128, 129, 130, 131, 132, 133, 134)
