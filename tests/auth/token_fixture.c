// SPDX-License-Identifier: Apache-2.0
//
// tests/auth/token_fixture.c - see token_fixture.h.

#include "tests/auth/token_fixture.h"

#include "auth/key.h"

// The numbers of the keys, each once. RS256 and PS256 share theirs.
#define RSA_PUBLIC                                                                                 \
    "\"n\":\"s2ldeK7fSgrNJMQiVSjjLab1_FTaj15fVSPKoWsbvdup0vW2CoOuwWWfXN1BWsnuI4NqKsZs2mcfRuik"     \
    "-kXz6z7Jr8LJXfriOUkjAdx_cfr8mNLNwTLGqrZVLdlTDGIzVeaf-mGYc2MNJVhLx_eXAVJRS2Biqz0m2Rc_IRts"     \
    "Aokq51gxoeytKv-e1tOmCfSV3nLUFBDk3Lj_33teLuIb-B3oWnD2TbgnC68UxrP3Yz3CR40eaMIJQalSs32J1-rg"     \
    "frep2Gb2hWj7fCJuhOLRWXDEazELc04vcWv0V-YC_BwcljDLSnwoHgpSLUmyH3DZw1dJ8xOjH_6_fSFBreAoMw\""     \
    ",\"e\":\"AQAB\""
#define RSA_PRIVATE                                                                                \
    "\"d\":\"NSxLsypk7D1iSnzEzieFmTCsJAKEGky2hXXLpuanPLBfVzJSpzAa-Z-kSTIcHgvOBAF9VDsl5N7-UpY9"     \
    "2x0jazvbK7fX1X43URIfiXwv23ivJ54GtDVX0x2iBiosZnWuUE2_aUZGmCAps8FFCHmVbCNZC7V_2M-RdXLh126Y"     \
    "pvFAEiKUlJeDMLMzVxgvbdW2B8KdzHQbywX3Sewi6yzjN-mwvz2hLe_5tggmOTCqZgyF5V-yhB3TBpeRug8yw0Un"     \
    "-yXFk6raQuzSItrMuULJGYqKbGsbaGlmFgXYOnCkQRSy9EleQ5c1_ePOtjBqPFRYW5UNhdoJeW-bdVqok_lgtQ\""     \
    ",\"p\":\"5ONbJi9AKlwe8Gc-NyPrY_JBL9QeEVQV-ztJbl_9X-y-0Q1fu5u4ofEpfdhwA4_Zsim8y29oLsK9NTm"     \
    "-jJuiuzfZcyJjtSkhbr5iJB_Lmqn6KRXXnrUvh4I1BjnLSIoG9bNiC5W3ndZOfxC-bu3IsLxazRnaRlmXNIygnrk"     \
    "EJiU\",\"q\":\"yKm3nd_eQuwbBZB6_nXi3p6P8x4SIBZnML4qxNt57QsaOv_u-co6M5ej_FUdyEG4j2IO4J74y"     \
    "3Vnua6jVWBlVfdMLWZyT2gWbWxmI5RJrmurq2gmagpf6pYWGi5N4jF9DiXALzO-SrLxFVWBgqU6_sRRHwCSaH4IU"     \
    "buJl9t0qXc\",\"dp\":\"bdbVNPvT1QAkMMW6y4dHPM1SjvtB-prZeZi34mnaE6Bu6a97U3KlJcGvYZ7uEieEFs"     \
    "WEvjOWUWpOli5BzQQbEbD5fxDvvE4ipxxhyGghsvUDAZhjwtu8FVFc1MIDVao3MM2GrXyJgwsG3F9So7Uka_vXrz"     \
    "lK0BvKPgOGSOUMoqk\",\"dq\":\"NbEz8Ip2bnG-yT5fqrbgfbDv0524O93CvsgjqYkQltzhp-fTigMSj7uDpYE"     \
    "g9vSe7b7PPEtNRyOjHYwdKDsi4l3JhFxlOdogJidbLSoAjStCRBsaLEWaZKrEPz0kmeGkFKUFR5wQzuwSliLLBKo"     \
    "xnvnouuLsSglvMG994aRXEwE\",\"qi\":\"sJoR2k6Is5TRFReNtXutJf-ALFEQaqBrSVl9qaYuSMbwsDQezrPm"     \
    "Bnb-VwFNSpPWwamVUhvkb2-CVT1iFAsUBgwDIFyODfvOBEkeyfhzyy8D6oWiRNCgzbfnBv9dSEs83cf5E3yED6Pm"     \
    "9m8nnFX2xXDgrMGcFhOCxcB3IFoLz1s\""
#define EC_PUBLIC                                                                                  \
    "\"x\":\"cK6ZxQMaoTGgWKhY7f-11QBug8i7JcBtI4x6YJT8p28\",\"y\":\"h4mFiO6QSUI2e8DdPYMXkKwO4a"     \
    "-Ks6J-BU7LetyuJjU\""
#define ED_PUBLIC "\"x\":\"V_8Y7N5i1xj7IBc6xRlRmc9sC9wbfyJm4d0-LjZ02aU\""
#define EC_PRIVATE "\"d\":\"-CRqZ4tfMBz0J9i4JhqI_uWVeH1qIuSGuHcd6jMpG50\""
#define ED_PRIVATE "\"d\":\"fMeiPs92PFlVULAUIMjzI-jvKDLcw1r0dpMo96cOd6E\""

// The keys up to their private parts.
#define HS                                                                                         \
    "{\"kty\":\"oct\",\"alg\":\"HS256\",\"kid\":\"hs\",\"k\":\""                                   \
    "XwW2f49Czxc1Xk8zyl2bBHAUyzdScnVnLKZsxqm89EA\""
#define RS "{\"kty\":\"RSA\",\"alg\":\"RS256\",\"kid\":\"rs\"," RSA_PUBLIC
#define PS "{\"kty\":\"RSA\",\"alg\":\"PS256\",\"kid\":\"ps\"," RSA_PUBLIC
#define ES "{\"kty\":\"EC\",\"crv\":\"" PHI_EC_CURVE "\",\"kid\":\"es\"," EC_PUBLIC
#define ED "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"ed\"," ED_PUBLIC

const char *const phi_fixture_private[PHI_JWS_COUNT] = {
    [PHI_JWS_HS256] = HS "}",
    [PHI_JWS_RS256] = RS "," RSA_PRIVATE "}",
    [PHI_JWS_PS256] = PS "," RSA_PRIVATE "}",
    [PHI_JWS_ES256] = ES "," EC_PRIVATE "}",
    [PHI_JWS_EDDSA] = ED "," ED_PRIVATE "}",
};

const char phi_fixture_public[] = "{\"keys\":[" RS "}," PS "}," ES "}," ED "}," HS "}]}";

const char phi_fixture_pem[] =
    "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAs2ldeK7fS"
    "grNJMQiVSjj\nLab1/FTaj15fVSPKoWsbvdup0vW2CoOuwWWfXN1BWsnuI4NqKsZs2mcfRuik+kXz\n6z7"
    "Jr8LJXfriOUkjAdx/cfr8mNLNwTLGqrZVLdlTDGIzVeaf+mGYc2MNJVhLx/eX\nAVJRS2Biqz0m2Rc/IR"
    "tsAokq51gxoeytKv+e1tOmCfSV3nLUFBDk3Lj/33teLuIb\n+B3oWnD2TbgnC68UxrP3Yz3CR40eaMIJQ"
    "alSs32J1+rgfrep2Gb2hWj7fCJuhOLR\nWXDEazELc04vcWv0V+YC/BwcljDLSnwoHgpSLUmyH3DZw1dJ"
    "8xOjH/6/fSFBreAo\nMwIDAQAB\n-----END PUBLIC KEY-----\n";
