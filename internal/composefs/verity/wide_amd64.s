#include "textflag.h"

// SHA-512 of eight messages at once, FIPS 180-4, section 6.4.2. A register holds
// the same word of all eight.
//
//	Z0 to Z7     a to h
//	Z8 to Z15    what is needed for a moment
//	Z16 to Z31   the message schedule: the 16 words that are used next

// Reverses the bytes of each word.
DATA reverse<>+0(SB)/8, $0x0001020304050607
DATA reverse<>+8(SB)/8, $0x08090a0b0c0d0e0f
DATA reverse<>+16(SB)/8, $0x0001020304050607
DATA reverse<>+24(SB)/8, $0x08090a0b0c0d0e0f
DATA reverse<>+32(SB)/8, $0x0001020304050607
DATA reverse<>+40(SB)/8, $0x08090a0b0c0d0e0f
DATA reverse<>+48(SB)/8, $0x0001020304050607
DATA reverse<>+56(SB)/8, $0x08090a0b0c0d0e0f
GLOBL reverse<>(SB), RODATA|NOPTR, $64

// Truth tables of VPTERNLOGQ.
#define XOR $0x96
#define CH $0xca
#define MAJ $0xe8

// ROUND uses the word w with the constant n after DX. What was h is the new a.
#define ROUND(a, b, c, d, e, f, g, h, w, n) \
	VPADDQ.BCST (n*8)(DX), w, Z8; \
	VPRORQ $14, e, Z9; \
	VPRORQ $18, e, Z10; \
	VPRORQ $41, e, Z11; \
	VPADDQ Z8, h, h; \
	VPTERNLOGQ XOR, Z10, Z11, Z9; \
	VMOVDQA64 e, Z12; \
	VPTERNLOGQ CH, g, f, Z12; \
	VPADDQ Z9, h, h; \
	VPADDQ Z12, h, h; \
	VPADDQ h, d, d; \
	VPRORQ $28, a, Z9; \
	VPRORQ $34, a, Z10; \
	VPRORQ $39, a, Z11; \
	VPTERNLOGQ XOR, Z10, Z11, Z9; \
	VMOVDQA64 a, Z12; \
	VPTERNLOGQ MAJ, c, b, Z12; \
	VPADDQ Z9, h, h; \
	VPADDQ Z12, h, h

// NEXT makes of w the word that comes 16 later; w1, w9 and w14 are those so many
// after it.
#define NEXT(w, w1, w9, w14) \
	VPRORQ $1, w1, Z8; \
	VPRORQ $8, w1, Z9; \
	VPSRLQ $7, w1, Z10; \
	VPTERNLOGQ XOR, Z9, Z10, Z8; \
	VPRORQ $19, w14, Z11; \
	VPRORQ $61, w14, Z12; \
	VPSRLQ $6, w14, Z13; \
	VPTERNLOGQ XOR, Z12, Z13, Z11; \
	VPADDQ w9, w, w; \
	VPADDQ Z8, w, w; \
	VPADDQ Z11, w, w

// LOAD reads 64 bytes, off after the current ones, of each message, and gives one
// register to each word of them: it transposes 8 by 8 words.
#define LOAD(off, w0, w1, w2, w3, w4, w5, w6, w7) \
	MOVQ SI, R8; \
	VMOVDQU64 off(R8), Z8; \
	ADDQ CX, R8; \
	VMOVDQU64 off(R8), Z9; \
	ADDQ CX, R8; \
	VMOVDQU64 off(R8), Z10; \
	ADDQ CX, R8; \
	VMOVDQU64 off(R8), Z11; \
	ADDQ CX, R8; \
	VMOVDQU64 off(R8), Z12; \
	ADDQ CX, R8; \
	VMOVDQU64 off(R8), Z13; \
	ADDQ CX, R8; \
	VMOVDQU64 off(R8), Z14; \
	ADDQ CX, R8; \
	VMOVDQU64 off(R8), Z15; \
	VPUNPCKLQDQ Z9, Z8, w0; \
	VPUNPCKHQDQ Z9, Z8, w1; \
	VPUNPCKLQDQ Z11, Z10, w2; \
	VPUNPCKHQDQ Z11, Z10, w3; \
	VPUNPCKLQDQ Z13, Z12, w4; \
	VPUNPCKHQDQ Z13, Z12, w5; \
	VPUNPCKLQDQ Z15, Z14, w6; \
	VPUNPCKHQDQ Z15, Z14, w7; \
	VSHUFI64X2 $0x88, w2, w0, Z8; \
	VSHUFI64X2 $0xdd, w2, w0, Z9; \
	VSHUFI64X2 $0x88, w3, w1, Z10; \
	VSHUFI64X2 $0xdd, w3, w1, Z11; \
	VSHUFI64X2 $0x88, w6, w4, Z12; \
	VSHUFI64X2 $0xdd, w6, w4, Z13; \
	VSHUFI64X2 $0x88, w7, w5, Z14; \
	VSHUFI64X2 $0xdd, w7, w5, Z15; \
	VSHUFI64X2 $0x88, Z12, Z8, w0; \
	VSHUFI64X2 $0x88, Z14, Z10, w1; \
	VSHUFI64X2 $0x88, Z13, Z9, w2; \
	VSHUFI64X2 $0x88, Z15, Z11, w3; \
	VSHUFI64X2 $0xdd, Z12, Z8, w4; \
	VSHUFI64X2 $0xdd, Z14, Z10, w5; \
	VSHUFI64X2 $0xdd, Z13, Z9, w6; \
	VSHUFI64X2 $0xdd, Z15, Z11, w7; \
	VMOVDQU64 reverse<>(SB), Z8; \
	VPSHUFB Z8, w0, w0; \
	VPSHUFB Z8, w1, w1; \
	VPSHUFB Z8, w2, w2; \
	VPSHUFB Z8, w3, w3; \
	VPSHUFB Z8, w4, w4; \
	VPSHUFB Z8, w5, w5; \
	VPSHUFB Z8, w6, w6; \
	VPSHUFB Z8, w7, w7

// func compress(state *wideState, constants *[80]uint64, messages *byte, stride, count int)
TEXT ·compress(SB), NOSPLIT, $0-40
	MOVQ state+0(FP), DI
	MOVQ messages+16(FP), SI
	MOVQ stride+24(FP), CX
	MOVQ count+32(FP), BX

block:
	LOAD(0, Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23)
	LOAD(64, Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31)
	VMOVDQU64 0(DI), Z0
	VMOVDQU64 64(DI), Z1
	VMOVDQU64 128(DI), Z2
	VMOVDQU64 192(DI), Z3
	VMOVDQU64 256(DI), Z4
	VMOVDQU64 320(DI), Z5
	VMOVDQU64 384(DI), Z6
	VMOVDQU64 448(DI), Z7
	MOVQ constants+8(FP), DX
	MOVQ $5, R9 // times 16 rounds

rounds:
	ROUND(Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z16, 0)
	ROUND(Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z17, 1)
	ROUND(Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z18, 2)
	ROUND(Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z19, 3)
	ROUND(Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z20, 4)
	ROUND(Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z21, 5)
	ROUND(Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z22, 6)
	ROUND(Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z23, 7)
	ROUND(Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z24, 8)
	ROUND(Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z25, 9)
	ROUND(Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z26, 10)
	ROUND(Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z27, 11)
	ROUND(Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z28, 12)
	ROUND(Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z29, 13)
	ROUND(Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z30, 14)
	ROUND(Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z31, 15)
	DECQ R9
	JZ done
	ADDQ $128, DX
	NEXT(Z16, Z17, Z25, Z30)
	NEXT(Z17, Z18, Z26, Z31)
	NEXT(Z18, Z19, Z27, Z16)
	NEXT(Z19, Z20, Z28, Z17)
	NEXT(Z20, Z21, Z29, Z18)
	NEXT(Z21, Z22, Z30, Z19)
	NEXT(Z22, Z23, Z31, Z20)
	NEXT(Z23, Z24, Z16, Z21)
	NEXT(Z24, Z25, Z17, Z22)
	NEXT(Z25, Z26, Z18, Z23)
	NEXT(Z26, Z27, Z19, Z24)
	NEXT(Z27, Z28, Z20, Z25)
	NEXT(Z28, Z29, Z21, Z26)
	NEXT(Z29, Z30, Z22, Z27)
	NEXT(Z30, Z31, Z23, Z28)
	NEXT(Z31, Z16, Z24, Z29)
	JMP rounds

done:
	VPADDQ 0(DI), Z0, Z0
	VMOVDQU64 Z0, 0(DI)
	VPADDQ 64(DI), Z1, Z1
	VMOVDQU64 Z1, 64(DI)
	VPADDQ 128(DI), Z2, Z2
	VMOVDQU64 Z2, 128(DI)
	VPADDQ 192(DI), Z3, Z3
	VMOVDQU64 Z3, 192(DI)
	VPADDQ 256(DI), Z4, Z4
	VMOVDQU64 Z4, 256(DI)
	VPADDQ 320(DI), Z5, Z5
	VMOVDQU64 Z5, 320(DI)
	VPADDQ 384(DI), Z6, Z6
	VMOVDQU64 Z6, 384(DI)
	VPADDQ 448(DI), Z7, Z7
	VMOVDQU64 Z7, 448(DI)
	ADDQ $128, SI
	DECQ BX
	JNZ block
	VZEROUPPER
	RET
